"""web/stream/subscriber.py: what waits for a slow reader, in which order it goes, and when it has waited too long."""

from exness.web.stream.protocol import CloseCode
from exness.web.stream.subscriber import Slot, Subscriber


class Wire:
    """A Line that takes so many writes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written: list[bytes] = []

    @property
    def writable(self) -> bool:
        return self.room > 0

    def write(self, data: bytes, /) -> None:
        self.room -= 1
        self.written.append(data)

    def abort(self) -> None:
        raise AssertionError("nothing cuts it")

    def stall(self) -> None:
        raise AssertionError("nothing stalls it")


def price(name: str, number: int) -> list[tuple[Slot, bytes]]:
    return [(("prices", name), f"{name}{number} ".encode())]


def offer(reader: Subscriber, *frames: tuple[Slot, bytes]) -> None:
    reader.offer(frames, b"".join(frame for _, frame in frames))


async def test_who_keeps_up_gets_everything_at_once() -> None:
    wire = Wire(room=9)
    reader = Subscriber(wire, bound=1, now_s=0)
    reader.put(b"event ")
    offer(reader, *price("SOL", 1), *price("ETH", 1))
    offer(reader, *price("SOL", 2))
    assert wire.written == [b"event ", b"SOL1 ETH1 ", b"SOL2 "]


async def test_of_each_price_the_newest_waits_and_events_go_first() -> None:
    wire = Wire(room=0)
    reader = Subscriber(wire, bound=10, now_s=0)
    for number in range(1000):
        offer(reader, *price("SOL", number), *price("ETH", number))
    reader.put(b"one ")
    reader.put(b"two ")
    wire.room = 9
    reader.flush()
    assert b"".join(wire.written) == b"one two SOL999 ETH999 "
    offer(reader, *price("SOL", 1000))
    assert wire.written[-1] == b"SOL1000 "


async def test_a_price_does_not_overtake_an_older_one_that_waits() -> None:
    wire = Wire(room=1)
    reader = Subscriber(wire, bound=10, now_s=0)
    offer(reader, *price("SOL", 1))
    offer(reader, *price("SOL", 2))
    wire.room = 1  # it may take one, but nobody has flushed yet
    offer(reader, *price("SOL", 3))
    reader.flush()
    assert wire.written == [b"SOL1 ", b"SOL3 "]


async def test_one_event_more_than_the_bound_is_the_end_and_nothing_more_is_sent() -> None:
    wire = Wire(room=0)
    reader = Subscriber(wire, bound=3, now_s=0)
    for _ in range(3):
        reader.put(b"event ")
    assert reader.close_code is None
    assert not reader.over.done()
    reader.put(b"event ")
    assert reader.close_code is CloseCode.FELL_BEHIND
    assert reader.over.done()
    wire.room = 99
    reader.flush()
    reader.put(b"event ")
    reader.send("trades", 1, b"event ")
    offer(reader, *price("SOL", 1))
    assert wire.written == []


async def test_events_that_are_held_count_too() -> None:
    wire = Wire(room=99)
    reader = Subscriber(wire, bound=3, now_s=0)
    reader.private["trades"] = 0
    reader.hold()
    for seq in range(1, 5):
        reader.send("trades", seq, b"event ")
    assert reader.close_code is CloseCode.FELL_BEHIND
    reader.release()
    assert wire.written == []


async def test_of_the_held_events_only_those_after_the_snapshot_go_out() -> None:
    wire = Wire(room=99)
    reader = Subscriber(wire, bound=99, now_s=0)
    reader.private |= {"trades": 2, "account": 3}
    reader.hold()
    for seq in (1, 2, 3, 4):
        for channel in ("trades", "account", "gone"):
            reader.send(channel, seq, f"{channel}{seq} ".encode())
    reader.put(b"snapshot ")
    reader.release()
    assert b"".join(wire.written) == b"snapshot trades3 trades4 account4 "


async def test_a_forgotten_channel_has_nothing_waiting() -> None:
    wire = Wire(room=0)
    reader = Subscriber(wire, bound=9, now_s=0)
    offer(reader, *price("SOL", 1), (("candles.1m.SOL", "SOL"), b"candle "))
    reader.forget("prices")
    wire.room = 9
    reader.flush()
    assert wire.written == [b"candle "]


async def test_the_end_waits_for_what_waits_when_asked_to() -> None:
    wire = Wire(room=0)
    reader = Subscriber(wire, bound=9, now_s=0)
    reader.put(b"event ")
    reader.end_when_sent(CloseCode.GOING_AWAY)
    assert not reader.over.done()
    wire.room = 9
    reader.flush()
    assert wire.written == [b"event "]
    assert reader.close_code is CloseCode.GOING_AWAY
