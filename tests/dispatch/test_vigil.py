"""Emergencies of people and radios in odd order: two on one terminal, nobody's, a full disk."""

from __future__ import annotations

from gateway.dispatch.settings import DispatchSettings
from tests.dispatch.rig import OWN, QUICK, Alarm, Rig
from tests.dispatch.test_taken_back import intervals


async def test_two_on_one_terminal() -> None:
    """The interval is put back when the last of them is over."""
    rig = Rig()
    rig.beats.alarms = [Alarm("EM-1"), Alarm("EM-2")]
    async with rig.running():
        await rig.pass_s(1)
        rig.beats.alarms[0].state = "cleared"
        await rig.pass_s(1)
        assert intervals(rig.link) == [(OWN, 10)]
        rig.beats.alarms[1].state = "cleared"
        await rig.pass_s(1)
        await rig.pass_s(1)
    assert intervals(rig.link) == [(OWN, 10), (OWN, None)]
    assert rig.ledger.intervals == {}


async def test_pressed_again() -> None:
    """Over, put back, pressed again: raised again."""
    rig = Rig()
    rig.beats.alarms = [Alarm("EM-1")]
    async with rig.running():
        await rig.pass_s(1)
        rig.beats.alarms[0].state = "cleared"
        for _ in range(3):
            await rig.pass_s(1)
        rig.beats.alarms.append(Alarm("EM-2"))
        await rig.pass_s(1)
        assert intervals(rig.link) == [(OWN, 10), (OWN, None), (OWN, 10)]


async def test_nobody_s() -> None:
    """A beacon that nobody holds, a person without a radio, a person nobody knows: nothing to ask."""
    rig = Rig()
    rig.beats.alarms = [Alarm("EM-1", person=person, issi=None) for person in (None, "P-0016", "P-9999")]
    async with rig.running():
        await rig.pass_s(1)
    assert (rig.heard, rig.ledger.intervals) == (0, {})


async def test_switched_off() -> None:
    """Interval 0: no interval is ever touched, but what was raised before the change is put back."""
    rig = Rig()
    rig.beats.alarms = [Alarm("EM-1")]
    async with rig.running():
        await rig.pass_s(1)
    rig.settings = DispatchSettings(emergency_interval_s=0)
    rig.beats.alarms = [Alarm("EM-2", person="P-0015", issi=2341015)]
    async with rig.running():
        await rig.pass_s(1)
        await rig.pass_s(1)
    assert (intervals(rig.link), rig.ledger.intervals) == ([(OWN, 10), (OWN, None)], {})


async def test_a_full_disk() -> None:
    """What cannot be remembered is not raised; it is once there is room."""
    rig = Rig(QUICK)
    rig.ledger.refusing = True
    rig.beats.alarms = [Alarm("EM-1")]
    async with rig.running():
        await rig.pass_s(1)
        assert rig.heard == 0
        rig.ledger.refusing = False
        await rig.pass_s(1)
    assert intervals(rig.link) == [(OWN, 10)]
