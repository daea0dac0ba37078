"""Numbers that only rise."""

from __future__ import annotations

from gateway.feed.sequence import BLOCK, Mark, Sequence, new_epoch


def test_epochs_differ() -> None:
    """And have no dash, so that a cursor can be read."""
    epochs = {new_epoch() for _ in range(1000)}
    assert len(epochs) == 1000
    assert not any("-" in epoch for epoch in epochs)


def test_a_block_is_reserved_long_before_it_is_needed() -> None:
    """At half a block, and again when that is in use."""
    numbers = Sequence("E", 1, BLOCK, on_disk=True)
    assert numbers.wanted() is None
    numbers.last = BLOCK // 2
    assert numbers.wanted() is None
    numbers.next()
    assert numbers.wanted() == Mark(1, "E", 2 * BLOCK)
    numbers.reserved(Mark(1, "E", 2 * BLOCK))
    assert numbers.wanted() is None
    numbers.reserved(Mark(1, "other", 9 * BLOCK))
    assert numbers.limit == 2 * BLOCK


def test_no_number_is_used_that_is_not_reserved() -> None:
    """A new epoch begins instead, and asks for its mark at once."""
    numbers = Sequence("E", 7, 9, on_disk=True)
    assert [numbers.next(), numbers.next()] == [7, 8]
    assert numbers.epoch == "E"
    assert numbers.next() == 9
    assert numbers.epoch != "E"
    assert numbers.wanted() == Mark(1, numbers.epoch, numbers.limit)
    numbers.reserved(numbers.wanted())
    assert numbers.on_disk
