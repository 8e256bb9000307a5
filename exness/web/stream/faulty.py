"""A subscriber whose events may go wrong, as `http/faults.py` has been told. There are some under dev control only."""

from collections.abc import Callable, Iterable

from exness.web.http.faults import Fault, Faults
from exness.web.stream.subscriber import Slot, Subscriber, Wire


class _Nowhere:
    """A wire that takes everything and sends nothing."""

    writable = True

    def write(self, data: bytes, /) -> None: ...

    def abort(self) -> None: ...

    def stall(self) -> None: ...


class FaultySubscriber(Subscriber):
    """What it is told of the market and of its account goes by the rules. Snapshots, what a resume tells and answers
    to its messages come as they should."""

    def __init__(self, wire: Wire, bound: int, now_s: float, client: str, faults: Faults) -> None:
        super().__init__(wire, bound, now_s, client)
        self._faults = faults
        self._late: Callable[[], None] | None = None
        """Sends what comes after the next one."""

    def send(self, channel: str, seq: int, frame: bytes) -> None:
        self._tell(lambda: super(FaultySubscriber, self).send(channel, seq, frame))

    def offer(self, frames: Iterable[tuple[Slot, bytes]], whole: bytes) -> None:
        for slot, frame in frames:
            self._offer_one(slot, frame)

    def _offer_one(self, slot: Slot, frame: bytes) -> None:
        self._tell(lambda: super(FaultySubscriber, self).offer([(slot, frame)], frame))

    def _tell(self, tell: Callable[[], None]) -> None:
        fault = self._faults.of_event(self.email)
        match fault:
            case Fault.GAP:
                return
            case Fault.CUT:
                self._wire.abort()
                return
            case Fault.STALL:
                self._wire.stall()
                self._wire = _Nowhere()
                return
            case Fault.REORDER if self._late is None:
                self._late = tell
                return
        tell()
        if fault is Fault.DUPLICATE:
            tell()
        late, self._late = self._late, None
        if late is not None:
            late()
