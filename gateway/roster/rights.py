"""What the device authority has said of devices, in memory: a pure answer from credentials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from gateway.domain.devices import Credential
from gateway.domain.ids import DeviceId


def stands(credential: Credential, at: datetime) -> bool:
    """Whether it was neither revoked nor outside its time then."""
    revoked = credential.revoked_at is not None and credential.revoked_at <= at
    return not revoked and credential.not_before <= at <= credential.not_after


class Rights:
    """Implements gateway.ports.DeviceRights; replaced as a whole when anything changes."""

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        """Oldest first."""
        self._of: dict[DeviceId, list[Credential]] = {}
        for each in credentials:
            self._of.setdefault(each.device, []).append(each)

    def become(self, other: Rights) -> None:
        """Answer as the other does from now on."""
        self._of = other._of

    def credentials(self, device: DeviceId) -> Sequence[Credential]:
        """Every certificate the device ever had, oldest first; none for a device never enrolled."""
        return tuple(self._of.get(device, ()))

    def revoked(self, device: DeviceId) -> bool:
        """Whether the device was enrolled and every certificate of it was taken back."""
        have = self._of.get(device, ())
        return bool(have) and all(each.revoked_at is not None for each in have)

    def speaks_for(self, dock: DeviceId, camera: DeviceId) -> bool:
        """Whether that dock may bring that camera's recordings: by its newest certificate that was not taken back."""
        standing = [each for each in self._of.get(dock, ()) if each.kind == "dock" and each.revoked_at is None]
        return bool(standing) and camera in standing[-1].cameras

    def everything(self) -> list[Credential]:
        """Every certificate there ever was."""
        return [each for have in self._of.values() for each in have]

    def lapsing(self, now: datetime, days: int) -> list[Credential]:
        """Each identity's newest standing certificate, where it ends within so many days; soonest first."""
        newest = (
            next((each for each in reversed(have) if each.revoked_at is None), None) for have in self._of.values()
        )
        soon = [each for each in newest if each is not None and each.not_after - now < timedelta(days=days)]
        return sorted(soon, key=lambda each: each.not_after)
