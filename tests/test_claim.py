"""One gateway a data directory, and nobody else's eyes in it."""

import os
import stat
from pathlib import Path

import pytest

from gateway import claim as claiming
from gateway.claim import claim
from gateway.errors import ConfigError
from tests.api.site import Site, noise


def test_a_second_gateway_is_refused(tmp_path: Path) -> None:
    """It would take up the first one's uploads and remove what it thinks is left over; the first goes on."""
    with Site(tmp_path) as first:
        with pytest.raises(ConfigError, match="another gateway"), Site(tmp_path):
            pass
        assert first.seal(noise(1000)).size == 1000


def test_the_lock_ends_with_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed, it is free; held, it is waited for and then refused."""
    monkeypatch.setattr(claiming, "PATIENCE_S", 0.1)
    held = claim(tmp_path / "data")
    with pytest.raises(ConfigError, match="another gateway"):
        claim(tmp_path / "data")
    os.close(held)
    os.close(claim(tmp_path / "data"))


def test_nothing_is_for_others_whatever_the_umask(tmp_path: Path) -> None:
    """Every directory 0700, every file 0600, the data directory too."""
    before = os.umask(0)
    try:
        with Site(tmp_path) as site:
            site.seal(noise(100_000))
            site.press()
            data = site.data
            open_to_others = [p for p in (data, *data.rglob("*")) if stat.S_IMODE(p.stat().st_mode) & 0o077]
    finally:
        os.umask(before)
    assert open_to_others == []


@pytest.mark.parametrize("name", ["evidence.db", "keys.db"])
def test_a_damaged_evidence_store_does_not_keep_the_feed_from_starting(tmp_path: Path, name: str) -> None:
    """Evidence is shut, loudly; positions and emergencies go on."""
    with Site(tmp_path) as site:
        site.seal(noise(1000))
    damaged = site.data / "evidence" / name
    damaged.write_bytes(b"garbage!" * 4096)
    for beside in ("-wal", "-shm"):
        Path(f"{damaged}{beside}").unlink(missing_ok=True)
    with Site(tmp_path) as site:
        assert site.gateway.parts()["evidence"] == "down"
        site.press()
        assert len(site.gateway.feed.emergencies()) == 1
