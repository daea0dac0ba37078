"""What is known of cameras, and what is expected of them, put together."""

from __future__ import annotations

import contextlib

from gateway.evidence.awaited import Limits
from gateway.evidence.expected import Expectations, Vault
from gateway.evidence_half import EvidenceHalf
from gateway.ports import Clock
from gateway.roster.directory import Roster
from gateway.settings import Settings
from gateway.store.cameras import CameraStore


def cameras_half(
    stack: contextlib.AsyncExitStack, settings: Settings, known: tuple[Roster, Clock], half: EvidenceHalf | None
) -> tuple[CameraStore, Expectations]:
    """Open what is known of cameras and expected of them; it works on while the evidence half is shut."""
    section = settings.evidence
    hours, days = section.expected_hours, section.clock_sync_days
    limits = Limits(hours, section.battery_low_pct, section.storage_low_mb, days)
    store = CameraStore(settings.data / "cameras.db", limits)
    store.open()
    stack.callback(store.close)
    if half is None:
        return store, Expectations(store, *known)
    expected = Expectations(store, *known, half.recordings.uploads)
    expected.vault = Vault(half.records.catalogue, half.records.custody, half.recordings.abandon)
    return store, expected
