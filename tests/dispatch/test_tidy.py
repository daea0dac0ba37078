"""Tasks that were over long ago are let go, where the operator says so."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from gateway.dispatch import task as steps
from tests.dispatch.rig import QUICK, Rig


@pytest.mark.parametrize(("keep_days", "left"), [(None, 2), (7, 1)])
async def test_old_finished_tasks(keep_days: int | None, left: int) -> None:
    """Counted; what is kept is still in the response times; a task that is not over stays however old it is."""
    rig = Rig(msgspec.structs.replace(QUICK, keep_days=keep_days))
    async with rig.running():
        old = await rig.give("Old")
        await rig.dispatch.cancel(old.id, "control")
        await rig.settled()
    for name, row in list(rig.ledger.rows.items()):
        known = msgspec.json.decode(row, type=steps.Task)
        aged = msgspec.structs.replace(known, created_at=known.created_at - timedelta(days=8), notice="sent")
        rig.ledger.rows[name] = msgspec.json.encode(aged)
        rig.ledger.rows["TK-000099"] = msgspec.json.encode(msgspec.structs.replace(aged, id="TK-000099", state="sent"))
    again = Rig(msgspec.structs.replace(QUICK, keep_days=keep_days))
    again.ledger.rows = rig.ledger.rows
    async with again.running() as dispatch:
        await again.settled()
        assert (await dispatch.response_times(None, None, "unit")).tasks == left
        assert dispatch.stats().get("forgotten", 0) == 2 - left
        assert "TK-000099" in again.ledger.rows
