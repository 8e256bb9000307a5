"""What may go wrong between a client and an exchange, on request: `pytest examples/test_your_client.py`.

The fixture `exchange` comes with exness. `Naive` is a client as many are written first, `Careful` has what makes it a
good one: a name for each order. Put your own in their place.
"""

import secrets
from types import TracebackType
from typing import Self

import httpx
import pytest

ORDERS = 40


class Naive:
    """It sends an order again when no answer came, though the first one may have been done."""

    TRIES = 8

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.http.close()

    def buy(self, asset: str, margin: int, leverage: int) -> str:
        order = {"asset": asset, "type": "long", "margin": margin, "leverage": leverage, **self.name()}
        for _ in range(self.TRIES):
            try:
                answer = self.http.post("/trade/create", json=order)
            except httpx.TransportError:
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return str(answer.raise_for_status().json()["orderId"])
        raise TimeoutError(f"no answer in {self.TRIES} tries")

    def name(self) -> dict[str, str]:
        return {}


class Careful(Naive):
    """Sent again, it is the same order under the same name: the first answer comes, and nothing is done twice."""

    def name(self) -> dict[str, str]:
        return {"clientOrderId": secrets.token_hex(16)}


@pytest.fixture
def ann(exchange):
    exchange.set_price("SOL", "200")
    return exchange.trader("ann")


def test_who_sends_an_order_twice_has_it_twice(exchange, ann):
    exchange.fault("POST /api/v1/trade/create", "cut_after", every=4)
    with Naive(exchange.url, exchange.token("ann")) as client:
        for _ in range(ORDERS):
            client.buy("SOL", 1, 2)
    assert len(ann.open_trades()) > ORDERS


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "cut_after", "share": 0.2, "seed": 1},
        {"do": "cut_before", "share": 0.2, "seed": 1},
        {"do": "status", "status": 503, "every": 3},
        {"do": "twice", "every": 2},
        {"do": "slow_body", "delay_s": 0.2, "nth": 2},
    ],
    ids=lambda fault: fault["do"],
)
def test_who_names_an_order_has_it_once(exchange, ann, fault):
    exchange.fault("POST /api/v1/trade/create", **fault)
    with Careful(exchange.url, exchange.token("ann")) as client:
        bought = [client.buy("SOL", 1, 2) for _ in range(ORDERS)]
    assert [trade.order_id for trade in ann.open_trades()] == bought
    assert exchange.faults()[0].struck > 0


def test_what_was_bought_before_a_crash_is_there_after_it(exchange, ann):
    with Careful(exchange.url, exchange.token("ann")) as client:
        bought = [client.buy("SOL", 1, 2)]
        exchange.crash()
        bought.append(client.buy("SOL", 1, 2))
    assert [trade.order_id for trade in ann.open_trades()] == bought


def test_a_trade_may_be_gone_when_one_looks_again(exchange, ann):
    with Careful(exchange.url, exchange.token("ann")) as client:
        client.buy("SOL", 100, 10)
    exchange.set_price("SOL", "180")
    assert ann.open_trades() == []
    assert ann.history().data[0].liquidated
