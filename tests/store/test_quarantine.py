"""Quarantine: bytes and reason kept, bytes sealed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.crypto.keys import KeyStore
from gateway.domain.events import Frame
from gateway.domain.ids import DeviceId
from gateway.domain.time import Stamp
from gateway.errors import GatewayError
from gateway.store.quarantine import QuarantineStore


@pytest.fixture
def keystore(tmp_path: Path) -> KeyStore:
    """Fresh keys."""
    keystore = KeyStore(tmp_path / "keys")
    keystore.load(create=True)
    return keystore


def test_rows_come_back_with_raw_bytes_and_reason(tmp_path: Path, keystore: KeyStore, clock) -> None:
    """Newest first; nothing in clear on disk."""
    store = QuarantineStore(tmp_path / "q.db", keystore.wrap, keystore.unwrap)
    frames = [
        (Frame("beacons", Stamp(clock.now()), f"bytes-{n}".encode(), "t", DeviceId("bcn-1")), f"reason {n}")
        for n in range(3)
    ]
    store.write(frames[:2])
    store.write(frames[2:])
    rows = store.rows()
    assert [(row.payload, row.reason, row.device) for row in rows] == [
        (b"bytes-2", "reason 2", "bcn-1"),
        (b"bytes-1", "reason 1", "bcn-1"),
        (b"bytes-0", "reason 0", "bcn-1"),
    ]
    assert store.count() == 3
    assert len(store.rows(limit=1)) == 1
    now = clock.now().utc
    every = store.reasons(now - timedelta(days=1), now + timedelta(days=1))
    assert every == {"reason 0": 1, "reason 1": 1, "reason 2": 1}
    assert store.reasons(now + timedelta(days=1), now + timedelta(days=2)) == {}
    store.close()
    for file in tmp_path.glob("q.db*"):
        assert b"bytes-" not in file.read_bytes()


def test_another_kek_does_not_open_it(tmp_path: Path, keystore: KeyStore, clock) -> None:
    """The bytes may hold a position: they are for whoever has the key."""
    store = QuarantineStore(tmp_path / "q.db", keystore.wrap, keystore.unwrap)
    store.write([(Frame("beacons", Stamp(clock.now()), b"x"), "r")])
    store.close()
    other = KeyStore(tmp_path / "other")
    other.load(create=True)
    stranger = QuarantineStore(tmp_path / "q.db", other.wrap, other.unwrap)
    with pytest.raises(GatewayError):
        stranger.rows()
    stranger.close()
