"""An exchange in a test's hand: its price, its clock, its money, its faults and its crashes."""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import msgspec

from exness.client import AsyncClient, Client, ExnessError
from exness.client.answers import Books, ClockSet, Deposited, Event, FaultRule, PriceSet, ScriptSet
from exness.client.calls import DEV, Amount
from exness.testing.binance import ccxt_settings
from exness.testing.server import DidNotStart, Server

LONGEST_WAIT_S = 0.1
"""A test's client does not wait longer between two tries, also when the exchange asks for a second."""
SHOWN = 20
"""Requests, and events of each trader, in a report."""
MOST_EVENTS = 10_000
EVENTS_WITHIN_S = 0.2
"""How long a report waits for one more event."""


class BooksDoNotBalance(AssertionError):
    """Money was made or lost."""


class Exchange:
    """A process with a manual feed and dev control, on a free port of this machine and a folder of its own.

    It starts with the context (or `start`), its clock stands, and no asset has a price. `settings` are those of
    docs/SETTINGS.md: `Exchange(settings={"trading.initial_balance": 100})`. Everything that is done to it is on disk
    when the method returns.
    """

    def __init__(self, *, settings: Mapping[str, object] | None = None) -> None:
        self._server = Server(settings or {})
        self._control: Client | None = None
        self._prices: dict[str, tuple[Amount, Amount]] = {}
        self._rules: list[FaultRule] = []
        self._tokens: dict[str, str] = {}
        self._clients: list[Client] = []
        self._traders: list[str] = []
        self._since = 0
        """The record after which everything belongs to this test."""

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it is. It stays the same over crashes."""
        return self._server.url

    def start(self) -> Self:
        """Raises DidNotStart."""
        try:
            self._server.start()
            self._control = Client(self.url, check_version=False, longest_wait_s=LONGEST_WAIT_S)
            self._begin()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it; nothing of it is left."""
        self.close_clients()
        if self._control is not None:
            self._control.close()
            self._control = None
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if isinstance(error, Exception):
                error.add_note(self.report())
            elif error is None:
                self.books_balance()
        finally:
            self.stop()

    def reset(self) -> None:
        """As it was at its start, but for its time, which never goes back: no account, no price, no fault."""
        self.close_clients()
        if not self._server.running:
            self._server.start()
        self._since = self.control.dev_reset().seq
        self._server.requests.clear()
        self._begin()

    def _begin(self) -> None:
        self._prices, self._rules, self._traders = {}, [], []
        self.control.dev_set_clock(paused=True)

    def crash(self) -> None:
        """`kill -9`, and start it again on what is on disk, at the same URL. Prices are set again, and the clock
        stands. A script and faults end with the process. Clients and streams connect again by themselves."""
        self._server.kill()
        self._server.start()
        self.control.dev_set_clock(paused=True)
        self._rules = []
        for asset, (bid, ask) in self._prices.items():
            self.control.dev_set_price(asset, bid=bid, ask=ask)

    @property
    def control(self) -> Client:
        """A client without a session, for whatever has no method here."""
        if self._control is None:
            raise DidNotStart("this exchange is not running: use it in a `with`, or call start()")
        return self._control

    # --- traders ------------------------------------------------------------------------------------------------------

    def trader(self, name: str, **options: Any) -> Client:
        """A signed-in client of `name`, or of the mail address that it is, with 5000 USDC. It is closed at the end of
        the test. `options` are those of Client."""
        client = Client(self.url, **self._options(name, options))
        self._clients.append(client)
        return client

    def async_trader(self, name: str, **options: Any) -> AsyncClient:
        """The same for an event loop. Use it in an `async with`: it must be closed in its own loop."""
        return AsyncClient(self.url, **self._options(name, options))

    def token(self, name: str) -> str:
        """A session token of `name`, for clients of your own."""
        email = email_of(name)
        if email not in self._tokens:
            self._tokens[email] = self.control.dev_session(email).token
        if email not in self._traders:
            self._traders.append(email)
        return self._tokens[email]

    def binance(self, name: str) -> dict[str, Any]:
        """What ccxt's `binanceusdm` takes, with a new key of `name` that may trade.

        ccxt signs by the machine's clock; what happens has the time of the exchange.
        """
        created = self.trader(name).create_api_key("of a test")
        return ccxt_settings(self.url, created.key, created.secret)

    def _options(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"token": self.token(name), "check_version": False, "longest_wait_s": LONGEST_WAIT_S} | options

    def close_clients(self) -> None:
        """Those that `trader` has made."""
        while self._clients:
            self._clients.pop().close()

    # --- price, clock, money ------------------------------------------------------------------------------------------

    def set_price(
        self, asset: str, mid: Amount | None = None, *, bid: Amount | None = None, ask: Amount | None = None
    ) -> PriceSet:
        """Set a price; what it liquidates is liquidated when this returns."""
        told = self.control.dev_set_price(asset, mid, bid=bid, ask=ask)
        self._prices[asset] = (told.bid, told.ask)
        return told

    def step(self, seconds: Amount) -> ClockSet:
        """So much time passes at once, with every scripted price on the way. A price lives for 30 s."""
        return self.control.dev_set_clock(step=seconds)

    def run(self, speed: Amount = 1) -> ClockSet:
        """The clock goes on by itself, so many times as fast as real time."""
        return self.control.dev_set_clock(paused=False, speed=speed)

    def pause(self) -> ClockSet:
        """The clock stands."""
        return self.control.dev_set_clock(paused=True)

    def script(self, *prices: tuple[Amount, str, Amount]) -> ScriptSet:
        """Prices to come: (seconds from now, asset, mid) each. They come as `step` or a running clock gets to them."""
        return self.control.dev_script(prices)

    def deposit(self, name: str, amount: Amount) -> Deposited:
        return self.control.dev_deposit(email_of(name), amount)

    # --- faults -------------------------------------------------------------------------------------------------------

    def fault(self, on: str, do: str, *, email: str | None = None, **which: Any) -> None:
        """One more thing that goes wrong, see Faults in docs/API.md: `fault("POST /api/v1/trade/create", "cut_after",
        share=0.2, seed=1)`. All counts begin again."""
        name = None if email is None else email_of(email)
        self._rules.append(FaultRule(on=on, do=do, email=name, **which))
        try:
            self.control.dev_set_faults(self._rules)
        except ExnessError:
            self._rules.pop()
            raise

    def faults(self) -> list[FaultRule]:
        """What goes wrong, and how often each rule has struck."""
        return self.control.dev_faults()

    def clear_faults(self) -> None:
        self._rules = []
        self.control.dev_set_faults([])

    # --- what is true of it -------------------------------------------------------------------------------------------

    def books(self) -> Books:
        return self.control.dev_books()

    def books_balance(self) -> None:
        """Raises BooksDoNotBalance. The fixtures of pytest ask it after every test."""
        books = self.books()
        house = books.house_pnl + books.commission + books.funding + books.insurance
        if not books.balanced or books.free + books.locked + books.reserved + house != books.deposits:
            raise BooksDoNotBalance(f"free, locked, reserved and the house's don't come to deposits: {books}")

    def events(self, name: str) -> list[Event]:
        """What has happened to a trader since the start of the test, or of the exchange: up to MOST_EVENTS of it."""
        trader, until = self.trader(name), self.books().seq
        stream = trader.stream("trades", "orders", "account", resume=self._since, timeout_s=EVENTS_WITHIN_S)
        told: list[Event] = []
        with stream, suppress(TimeoutError):
            while len(told) < MOST_EVENTS and (event := next(stream)).seq <= until:
                told.append(event)
        return told

    def report(self) -> str:
        """The last requests and the last events of each trader, and what the exchange has warned of."""
        with suppress(Exception):
            self._server.heard_of(f"{DEV}/books", self.books)
        parts = ["the last requests to the exchange:", *map(str, list(self._server.requests)[-SHOWN:])]
        for email in list(self._traders):
            parts.append(f"the last events of {email}:")
            try:
                parts += [_line(event) for event in self.events(email)[-SHOWN:]]
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what the report is about
                parts.append(f"can't be told: {error!r}")
        warnings = [line for line in self._server.log if '"level":"info"' not in line.replace(" ", "")]
        return "\n".join([*parts, *(["what it has logged:", *warnings[-SHOWN:]] if warnings else [])])


def email_of(name: str) -> str:
    return name if "@" in name else f"{name}@example.com"


def _line(event: Event) -> str:
    data = msgspec.to_builtins(event.data, builtin_types=(Decimal,))
    return f"{event.at:%H:%M:%S.%f}  {event.seq}  {event.channel} {event.type}  {_shown(data)}"


def _shown(data: Any) -> str:
    """What there is of it: what is None is left out."""
    if not isinstance(data, dict):
        return str(data)
    return ", ".join(
        f"{key}=({_shown(value)})" if isinstance(value, dict) else f"{key}={value}"
        for key, value in data.items()
        if value is not None
    )
