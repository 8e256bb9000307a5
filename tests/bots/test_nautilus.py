"""nautilus_trader, a node with data and execution, which decodes strictly. It wants Python 3.12 and a gigabyte, so only
who has set it up runs this: `.ci/bots.sh nautilus`."""

from pathlib import Path

from tests.bots.clients import desk, found_by, key_of, python_of
from tests.bots.test_freqtrade import asking


async def test_a_node_reconciles_quotes_orders_and_is_stopped_out(tmp_path: Path) -> None:
    python_of("nautilus")
    async with desk(tmp_path) as it:
        key = await key_of(it.server, "bot@example.com")
        async with asking(it.server.url, key) as exchange:
            await exchange.create_order("BTC/USDC:USDC", "market", "buy", 0.01)
            await exchange.create_order("BTC/USDC:USDC", "limit", "buy", 0.01, 90_000)
        told = await found_by("nautilus", "nautilus.py", it.server.url, key, within_s=100)
    assert told.pop("version")
    assert told == {
        "instrument": ["0.000001", "0.001"],
        "balance": "5000.00000000 USDC",
        "reconciled": [[0.01], ["90000"]],
        "quote": ["200.000000", "200.000000"],
        "events": [
            "limit Accepted",
            "limit Updated",
            "limit Canceled",
            "entry Accepted",
            "entry Filled",
            "stop Accepted",
            "stop Updated",  # it has fired, and is another order now
            "stop Updated",
            "stop Filled",
            "first Accepted",
            "second Accepted",
            "first Canceled",
            "second Canceled",
        ],
        "position": [True, "-12.00000000 USDC"],
    }
