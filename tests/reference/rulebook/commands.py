"""What can be asked. `order` is the id of what is made or meant; `client_order` goes into the account's window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trailing:
    """One of `distance` (a price's) and `percent` (hundredths)."""

    distance: int | None = None
    percent: int | None = None
    activation: int | None = None


@dataclass(frozen=True)
class OpenAccount:
    account: str
    email: str
    deposit: int


@dataclass(frozen=True)
class Deposit:
    account: str
    amount: int


@dataclass(frozen=True)
class DepositHouse:
    """What the insurance begins with."""

    amount: int


@dataclass(frozen=True)
class OpenTrade:
    account: str
    order: str
    asset: str
    side: str
    margin: int
    leverage: int
    slippage: int | None = None
    expected_price: int | None = None
    seen_price: int | None = None
    take_profit: int | None = None
    stop_loss: int | None = None
    trailing: Trailing | None = None
    client_order: str | None = None


@dataclass(frozen=True)
class PlaceOrder:
    """`tif` is gtc, gtt or ioc."""

    account: str
    order: str
    asset: str
    side: str
    margin: int
    leverage: int
    limit: int | None = None
    stop: int | None = None
    tif: str | None = None
    expires_at: int | None = None
    post_only: bool = False
    take_profit: int | None = None
    stop_loss: int | None = None
    trailing: Trailing | None = None
    client_order: str | None = None


@dataclass(frozen=True)
class AmendOrder:
    """Of an order: limit, stop, margin, leverage, quantity, expires_at, take_profit, stop_loss, trailing. Of an exit
    with an id: price, limit, size, expires_at. None removes, what is not named stays."""

    account: str
    order: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class CancelOrder:
    account: str
    order: str


@dataclass(frozen=True)
class CancelOrders:
    account: str
    asset: str | None = None


@dataclass(frozen=True)
class SetExits:
    """`changes`: any of take_profit, stop_loss, trailing; None removes."""

    account: str
    order: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class AddExit:
    """Over a part of the trade `order`, which is one of percent, margin and size. A limit has its price alone."""

    account: str
    order: str
    exit: str
    kind: str
    price: int
    percent: int | None = None
    margin: int | None = None
    size: int | None = None
    client_order: str | None = None


@dataclass(frozen=True)
class CloseTrade:
    account: str
    order: str
    percent: int | None = None
    margin: int | None = None
    size: int | None = None
    client_order: str | None = None


@dataclass(frozen=True)
class ChangeMargin:
    account: str
    order: str
    amount: int
    client_order: str | None = None


@dataclass(frozen=True)
class ChangeLeverage:
    account: str
    order: str
    leverage: int


@dataclass(frozen=True)
class NetOrder:
    """`kind` is that of an exit whose `stop` sets it off: take_profit or stop_loss."""

    account: str
    order: str
    asset: str
    side: str
    quantity: int | None = None
    close_position: bool = False
    limit: int | None = None
    stop: int | None = None
    trailing: Trailing | None = None
    kind: str | None = None
    reduce_only: bool = False
    tif: str | None = None
    expires_at: int | None = None
    post_only: bool = False
    slippage: int | None = None
    expected_price: int | None = None
    seen_price: int | None = None
    client_order: str | None = None


@dataclass(frozen=True)
class SetNetLeverage:
    account: str
    asset: str
    leverage: int


@dataclass(frozen=True)
class PriceTick:
    asset: str
    bid: int
    ask: int
    life_us: int
    suspect: bool = False
    funding: int | None = None


@dataclass(frozen=True)
class PassTime:
    pass


@dataclass(frozen=True)
class SetRates:
    """From now on; an asset's other rates stay."""

    asset: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class SetProfile:
    profile: str


@dataclass(frozen=True)
class StartAfresh:
    """`house` is what the insurance begins with again."""

    house: int = 0


Command = (
    OpenAccount
    | Deposit
    | DepositHouse
    | OpenTrade
    | PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelOrders
    | SetExits
    | AddExit
    | CloseTrade
    | ChangeMargin
    | ChangeLeverage
    | NetOrder
    | SetNetLeverage
    | PriceTick
    | PassTime
    | SetRates
    | SetProfile
    | StartAfresh
)


class Refused(Exception):
    """A refusal: its code, and its details by their names of the answer, in integers."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused) and (self.code, self.details) == (other.code, other.details)

    def __hash__(self) -> int:
        return hash(self.code)


Event = dict[str, Any]
"""`event` is its kind; `seq` and `at` are those of its record."""


@dataclass(frozen=True)
class Outcome:
    """All that came of a command: what time brought before it stands first. `repeated` names the first and the last
    record of the command that used this client order id before."""

    events: list[Event]
    refusal: Refused | None = None
    repeated: tuple[int, int] | None = None
