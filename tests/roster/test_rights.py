"""What the device authority says of devices: standing, revoked, lapsing, for whom a dock speaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.domain.devices import Credential
from gateway.domain.ids import DeviceId
from gateway.roster.rights import Rights, stands

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)
A, DOCK = DeviceId("cam-a"), DeviceId("dock-1")


def credential(device=A, **more) -> Credential:
    """A certificate that stands."""
    facts = {"kind": "camera", "serial": "1", "public_key": b"k", "key_origin": "device"}
    times = {"not_before": NOW - DAY, "not_after": NOW + 100 * DAY}
    return Credential(device=device, **{**facts, **times, **more})


def test_a_certificate_stands_between_its_times_until_it_is_revoked():
    """To the moment, both ends included."""
    one = credential(revoked_at=NOW)
    assert stands(one, NOW - timedelta(seconds=1))
    assert not stands(one, NOW)
    assert stands(credential(), NOW + 100 * DAY)
    assert not stands(credential(), NOW + 100 * DAY + timedelta(seconds=1))
    assert not stands(credential(), NOW - DAY - timedelta(seconds=1))


def test_revoked_is_who_was_enrolled_and_has_nothing_left():
    """Never enrolled is not revoked; nor is who was enrolled again."""
    assert not Rights().revoked(A)
    assert Rights([credential(revoked_at=NOW)]).revoked(A)
    assert not Rights([credential(revoked_at=NOW), credential(serial="2")]).revoked(A)


def test_credentials_are_oldest_first_and_by_device():
    """And none for whom nothing was issued."""
    rights = Rights([credential(), credential(DOCK, serial="7"), credential(serial="2")])
    assert [each.serial for each in rights.credentials(A)] == ["1", "2"]
    assert rights.credentials(DeviceId("cam-b")) == ()
    assert len(rights.everything()) == 3


def test_a_dock_speaks_for_those_of_its_newest_standing_certificate():
    """Not for those of an older one, not once it is revoked, and a camera speaks for nobody."""
    old, new = (credential(DOCK, kind="dock", serial=n, cameras=(c,)) for n, c in (("1", A), ("2", DeviceId("cam-b"))))
    rights = Rights([old, new])
    assert rights.speaks_for(DOCK, DeviceId("cam-b"))
    assert not rights.speaks_for(DOCK, A)
    gone = Rights([credential(DOCK, kind="dock", cameras=(A,), revoked_at=NOW)])
    assert not gone.speaks_for(DOCK, A)
    assert not Rights([credential(DOCK, kind="camera", cameras=(A,))]).speaks_for(DOCK, A)
    assert not Rights().speaks_for(DOCK, A)


def test_what_lapses_is_each_devices_newest():
    """One that was renewed or revoked is not named; the soonest comes first."""
    rights = Rights(
        [
            credential(not_after=NOW + DAY),
            credential(serial="2"),
            credential(DeviceId("b"), not_after=NOW + 9 * DAY),
            credential(DeviceId("c"), not_after=NOW - DAY),
            credential(DeviceId("d"), not_after=NOW + DAY, revoked_at=NOW),
        ]
    )
    assert [each.device for each in rights.lapsing(NOW, 30)] == ["c", "b"]
    assert [each.device for each in rights.lapsing(NOW, 0)] == ["c"]


def test_rights_become_others_as_a_whole():
    """Whoever holds them sees the change."""
    rights = Rights([credential()])
    rights.become(Rights())
    assert rights.everything() == []
