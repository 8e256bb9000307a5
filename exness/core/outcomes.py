"""What a command comes to: it is done, it repeats an earlier one, or it is refused and changes nothing."""

import msgspec

from exness.core.events import Record
from exness.core.rejects import Refusal
from exness.core.state import SeenOrder


class Done(msgspec.Struct, frozen=True, gc=False):
    """What happened, in order; empty for a tick that set nothing off. `more`: the tick is not done yet."""

    records: list[Record]
    more: bool = False


class Repeated(msgspec.Struct, frozen=True):
    """The same client order id with the same body: no second trade, and the first answer again, which stands in the
    record of `seen`."""

    seen: SeenOrder


Outcome = Done | Refusal | Repeated
