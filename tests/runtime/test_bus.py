"""runtime/bus.py: every record in order to everyone who keeps up, and nobody is waited for."""

import asyncio

import pytest

from exness.core.events import Record
from exness.runtime.bus import Bus, FellBehind, Subscription
from tests.runtime.test_writer import records


async def taken(subscription: Subscription, number: int) -> list[int]:
    return [(await anext(subscription)).seq for _ in range(number)]


async def test_everyone_hears_every_record_in_order() -> None:
    bus = Bus(10)
    with bus.subscribe() as one, bus.subscribe() as two:
        bus.publish(records(1, 2))
        bus.publish(records(3, 3))
        assert await taken(one, 3) == [1, 2, 3]
        assert await taken(two, 3) == [1, 2, 3]


async def test_who_waits_hears_as_soon_as_something_comes() -> None:
    bus = Bus(10)
    with bus.subscribe() as subscription:
        hearing = asyncio.create_task(taken(subscription, 2))
        await asyncio.sleep(0)
        assert not hearing.done()
        bus.publish(records(1, 2))
        assert await hearing == [1, 2]


async def test_who_subscribes_later_hears_only_what_comes_later() -> None:
    bus = Bus(10)
    bus.publish(records(1, 5))
    with bus.subscribe() as subscription:
        bus.publish(records(6, 6))
        assert await taken(subscription, 1) == [6]


async def test_who_falls_behind_gets_what_fitted_and_is_then_cut_off_while_others_go_on() -> None:
    bus = Bus(3)
    with bus.subscribe() as slow, bus.subscribe() as quick:
        bus.publish(records(1, 2))
        assert await taken(quick, 2) == [1, 2]
        bus.publish(records(3, 4))  # four would wait for the slow one
        assert await taken(quick, 2) == [3, 4]
        bus.publish(records(5, 5))
        assert await taken(quick, 1) == [5]
        assert await taken(slow, 2) == [1, 2]
        with pytest.raises(FellBehind):
            await anext(slow)
        with pytest.raises(FellBehind):
            await anext(slow)
        assert bus.cut_off == 1


async def test_who_waits_with_room_to_the_last_record_is_not_cut_off() -> None:
    bus = Bus(3)
    with bus.subscribe() as subscription:
        bus.publish(records(1, 3))
        assert await taken(subscription, 3) == [1, 2, 3]
        bus.publish(records(4, 6))
        assert await taken(subscription, 3) == [4, 5, 6]
        assert bus.cut_off == 0


@pytest.mark.parametrize(("waiting", "coming", "cut_off"), [(0, 4, 0), (0, 1000, 0), (1, 2, 0), (1, 3, 1), (3, 1, 1)])
async def test_a_batch_larger_than_the_bound_cuts_off_only_who_was_behind(
    waiting: int, coming: int, cut_off: int
) -> None:
    bus = Bus(3)
    with bus.subscribe() as subscription:
        if waiting:
            bus.publish(records(1, waiting))
        bus.publish(records(waiting + 1, waiting + coming))
        assert bus.cut_off == cut_off
        kept = waiting if cut_off else waiting + coming
        assert await taken(subscription, kept) == list(range(1, kept + 1))
        if cut_off:
            with pytest.raises(FellBehind):
                await anext(subscription)


async def test_who_leaves_hears_nothing_more_and_costs_nothing() -> None:
    bus = Bus(1)
    with bus.subscribe():
        pass
    bus.publish(records(1, 100))
    assert bus.cut_off == 0
    assert bus._subscriptions == []


async def test_leaving_twice_or_after_being_cut_off_is_no_error() -> None:
    bus = Bus(1)
    with bus.subscribe() as subscription:
        bus.publish(records(1, 2))
        bus.publish(records(3, 3))
        assert bus.cut_off == 1
    bus.drop(subscription)


async def test_when_the_bus_closes_everyone_hears_the_rest_and_then_the_end() -> None:
    bus = Bus(10)
    with bus.subscribe() as subscription:
        bus.publish(records(1, 3))
        bus.close()
        heard: list[Record] = [record async for record in subscription]
        assert [record.seq for record in heard] == [1, 2, 3]


async def test_who_waits_when_the_bus_closes_is_told() -> None:
    bus = Bus(10)
    with bus.subscribe() as subscription:
        hearing = asyncio.create_task(anext(subscription, None))
        await asyncio.sleep(0)
        bus.close()
        assert await hearing is None
