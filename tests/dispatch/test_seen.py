"""A unit's number as the controller saw it: a task is declined where its duty has changed since."""

from __future__ import annotations

import pytest

from gateway.dispatch.asked import DeclinedError
from tests.dispatch.rig import UNIT, Rig


@pytest.mark.parametrize("seq", [41, 0])
async def test_what_was_seen_is_no_longer_so(seq: int) -> None:
    """409 says how it is now, and the number to look from."""
    rig = Rig()
    rig.beats.duties[UNIT] = (42, "off_duty")
    async with rig.running():
        with pytest.raises(DeclinedError) as no:
            await rig.give(seq=seq)
        assert (no.value.code, no.value.more) == (409, {"seq": 42, "duty": "off_duty"})
        assert rig.link.heard == []


@pytest.mark.parametrize("more", [{"seq": 42}, {"seq": 50}, {}, {"seq": 1, "override": {"reason": "nobody else"}}])
async def test_what_was_seen_still_stands(more: dict[str, object]) -> None:
    """Seen at that record or later, not said at all, or overridden with a reason."""
    rig = Rig()
    rig.beats.duties[UNIT] = (42, "committed")
    async with rig.running():
        task = await rig.give(**more)
        assert task.seq == more.get("seq")
