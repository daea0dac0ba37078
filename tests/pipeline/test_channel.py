"""Channels: bounded, by the rule that was said."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import MisuseError
from gateway.pipeline.channel import Channel, Overflow


def channel(capacity: int, overflow: Overflow) -> Channel[tuple[int, bool]]:
    """Items are (weight, spared)."""
    return Channel(capacity, overflow=overflow, weigh=lambda item: item[0], spare=lambda item: item[1])


def test_a_channel_without_a_bound_is_misuse() -> None:
    """Capacity 0 is refused."""
    with pytest.raises(MisuseError):
        channel(0, Overflow.REFUSE)


def test_refuse_keeps_what_was_there() -> None:
    """The newcomer is refused and counted."""
    queue = channel(10, Overflow.REFUSE)
    assert queue.put((6, False))
    assert not queue.put((6, False))
    assert queue.take_all() == [(6, False)]
    assert queue.dropped == 1


def test_drop_oldest_spares_emergencies() -> None:
    """The oldest that may go goes; a spared one stays in its place."""
    queue = channel(10, Overflow.DROP_OLDEST)
    for item in ((4, True), (3, False), (3, False)):
        assert queue.put(item)
    assert queue.put((4, False))
    assert queue.take_all() == [(4, True), (4, False)]
    assert queue.dropped == 2


def test_a_spared_item_goes_in_past_the_bound() -> None:
    """An emergency is never refused."""
    queue = channel(5, Overflow.REFUSE)
    queue.put((5, False))
    assert queue.put((5, True))
    assert queue.dropped == 0


@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=40), st.sampled_from(Overflow))
def test_nothing_spared_is_lost_and_nothing_is_uncounted(items: list[tuple[int, bool]], overflow: Overflow) -> None:
    """Taken + dropped = put; every spared item is taken; the rest stays within the bound, in order."""
    queue = channel(12, overflow)
    for item in items:
        queue.put(item)
    held = queue.weight
    taken = queue.take_all()
    assert len(taken) + queue.dropped == len(items)
    assert [item for item in taken if item[1]] == [item for item in items if item[1]]
    assert held == sum(weight for weight, _ in taken)
    loose = sum(weight for weight, spared in taken if not spared)
    assert loose <= 12


async def test_wait_returns_when_there_is_something() -> None:
    """A waiter wakes on put and on put_back."""
    queue = channel(10, Overflow.REFUSE)
    async with asyncio.timeout(1):
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.wait())
            await asyncio.sleep(0)
            queue.put((1, False))
        taken = queue.take_all()
        queue.put_back(taken)
        await queue.wait()
    assert queue.take_all() == [(1, False)]
