"""What keeping recordings asks of the other parts of the gateway, as small ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import msgspec

from gateway.domain.evidence import Recall, Recorded
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.evidence.rows import Exhibit
from gateway.ports import Clock, Custody, DeviceRights, Directory


class Keyring(Protocol):
    """keys.db: secrets by name, wrapped. Called from several threads; durable on return."""

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret, in place of an earlier one of that name."""
        ...

    def get(self, name: str) -> bytes | None:
        """Give a secret back; None when there is none."""
        ...

    def delete(self, name: str) -> object:
        """Destroy a secret; none there is no error."""
        ...


class Shelf(Protocol):
    """The catalogue, read: called from threads, answers at once."""

    def by_recording(self, device: DeviceId, recording: str) -> Sequence[Exhibit]:
        """Every exhibit of this recording, the newest last."""
        ...

    def exhibit(self, exhibit: ExhibitId) -> Exhibit | None:
        """One exhibit; None when the log has no entry of it."""
        ...

    def disposed_with(self, sha256: str) -> Sequence[Exhibit]:
        """Sealed exhibits with this content whose key was destroyed."""
        ...


class Entries(Protocol):
    """The log, read."""

    async def recorded(self, index: int) -> Recorded:
        """An entry's exact leaf and a proof of it under the present checkpoint."""
        ...


class Details(Protocol):
    """What the log's entries only commit to, read; blocks."""

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt) of an entry; None where it was erased."""
        ...


class Terms(msgspec.Struct, frozen=True):
    """Whose exhibit a new recording is, under which retention rule, and due when."""

    controller: str
    rule: str
    due: date


class Retention(Protocol):
    """The rule for what nobody has categorised yet."""

    def terms(self, device: DeviceId, at: datetime) -> Terms:
        """Whose, under which rule, due when."""
        ...


class FixedTerms:
    """One controller, one rule, so many days."""

    def __init__(self, controller: str, rule: str, days: int) -> None:
        """State them once, from the settings."""
        self._controller, self._rule, self._days = controller, rule, days

    def terms(self, device: DeviceId, at: datetime) -> Terms:  # noqa: ARG002 - a port others may answer by device
        """The same terms for every device."""
        return Terms(self._controller, self._rule, (at + timedelta(days=self._days)).date())


class KekInUse(Protocol):
    """Which key-encryption key wraps now."""

    @property
    def kek_ids(self) -> tuple[str, ...]:
        """Ids of all, the one in use last."""
        ...


class Copied(Protocol):
    """How many copies are wanted of each recording in all, the first included, and when they were verified."""

    @property
    def wanted(self) -> int:
        """How many."""
        ...

    def verified_at(self, row: Exhibit) -> datetime | None:
        """When an exhibit's copies were last counted; blocks."""
        ...


class Needs(msgspec.Struct, frozen=True):
    """Everything that `Recordings` stands on."""

    custody: Custody
    entries: Entries
    shelf: Shelf
    keyring: Keyring
    keks: KekInUse
    people: Directory
    retention: Retention
    clock: Clock
    rights: DeviceRights | None = None
    """What the device authority says; None where there is none: then a dock is taken at its word."""
    details: Details | None = None
    copied: Copied | None = None
    recall: Recall | None = None
    """What a restore lost, and cameras are asked for again."""
    rotations: Callable[[], Sequence[str]] = tuple
    """Statements that lead from the log's first key to the present one: a receipt passes them on."""
