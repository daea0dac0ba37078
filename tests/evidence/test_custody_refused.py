"""A log that is not what was written, or another's: found at the start, refused, and there for everybody to see."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from gateway.errors import IntegrityError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.tiles import Edge
from tests.api.site import Site
from tests.evidence.log.lab import Lab, act
from tests.evidence.test_custody import lab

__all__ = ["lab"]


def broken(lab: Lab, text: str) -> None:
    """Opening, or writing to a log already open, is refused as an integrity failure that says why."""
    with pytest.raises(IntegrityError, match=text):
        lab.log().open_now()


@pytest.fixture
def written(lab: Lab) -> Lab:
    """A log of 300 entries."""
    with lab.opened() as log:
        log._ask([act(number) for number in range(300)]).result()
    return lab


def test_another_origin_is_refused(written: Lab) -> None:
    """The checkpoint of one log is not that of another."""
    with pytest.raises(IntegrityError, match="signatures of another"):
        written.log(origin="another").open_now()


def test_another_key_is_refused(written: Lab) -> None:
    """Same origin, other key: somebody else's log."""
    (written.directory / "keys/log.key").unlink()
    written.keystore.load(create=True)
    broken(written, "no private key")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tile/0/000", "missing"),
        ("tile/0/001.p/44", "missing"),
        ("tile/entries/001.p/44", "missing"),
        ("checkpoint", "missing"),
    ],
)
def test_a_missing_file_is_found(written: Lab, path: str, text: str) -> None:
    """What the tree's edge needs is read at the start; what lies behind it, when it is needed."""
    (written.evidence / "log" / path).unlink()
    if path == "tile/0/000":
        with written.opened() as log, pytest.raises(IntegrityError, match=text):
            log.proof(3)
        return
    broken(written, text)


def test_a_changed_tile_is_found(written: Lab) -> None:
    """The root that the tiles yield is not the one that was signed."""
    path = written.evidence / "log/tile/0/001.p/44"
    tile = bytearray(path.read_bytes())
    tile[100] ^= 1
    path.write_bytes(tile)
    broken(written, "do not have the root")


def test_a_rolled_back_log_is_found_by_the_catalogue(written: Lab) -> None:
    """An older log than the catalogue has seen is not signed on."""
    log = written.evidence / "log"
    for name in ("checkpoint", "tile/0/001.p/44"):
        (log / name).unlink()
    empty = Checkpoint("lapel.test/log", 0, Edge().root()).sign(written.keystore.log_signer)
    (log / "checkpoint").write_text(empty)
    broken(written, "catalogue has 300")


def test_a_fork_under_a_running_log_is_found(written: Lab) -> None:
    """A checkpoint that we signed, but that does not extend what this process has seen, is refused."""
    with written.opened() as log:
        empty = Checkpoint("lapel.test/log", 0, Edge().root()).sign(written.keystore.log_signer)
        (written.evidence / "log/checkpoint").write_text(empty)
        with pytest.raises(IntegrityError, match="does not extend"):
            log.record_now(act(1))


@pytest.mark.parametrize(
    "pending",
    [
        b"not json",
        b'{"v":2}',
        b"{}",
        b'{"v":1,"old_size":300,"leaves":["QQ=="],"checkpoint":"x"}',
        b'{"v":1,"old_size":300,"leaves":["Q Q=="],"checkpoint":"x"}',
    ],
)
def test_a_pending_that_is_not_ours_is_refused(written: Lab, pending: bytes) -> None:
    """Nobody gets leaves into the log by writing a file."""
    (written.evidence / "log/pending").write_bytes(pending)
    broken(written, "pending")


def test_a_pending_with_other_leaves_is_refused(written: Lab) -> None:
    """The signed root decides what a pending batch holds."""
    note = Checkpoint("lapel.test/log", 301, bytes(32)).sign(written.keystore.log_signer)
    leaves = [base64.b64encode(b"{}").decode()]
    text = json.dumps({"v": 1, "old_size": 300, "leaves": leaves, "checkpoint": note})
    (written.evidence / "log/pending").write_text(text)
    broken(written, "not that of its leaves")


def test_only_the_owner_can_read_what_is_written(written: Lab) -> None:
    """Directories are 0700 and files 0600."""
    for path in [written.evidence / "log", *written.evidence.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_log_that_was_taken_away_is_not_begun_anew(tmp_path: Path) -> None:
    """Log and catalogue gone, details left: a new empty log would be a fork, signed by the same key."""
    with Site(tmp_path) as site:
        site.seal(b"once")
    evidence = site.data / "evidence"
    shutil.rmtree(evidence / "log")
    for path in evidence.glob("evidence.db*"):
        path.unlink()
    with Site(tmp_path) as site:
        assert site.gateway.parts()["evidence"] == "down"
        assert "has had entries" in (site.gateway.evidence_problem or "")
    assert not (evidence / "log" / "checkpoint").exists()


def test_a_log_that_was_changed_is_down_for_everybody_to_see(tmp_path: Path) -> None:
    """Sealing stops and readiness says so, not only to the camera; put right, it goes on."""
    with Site(tmp_path) as site, site.client() as anybody:
        site.seal(b"once")
        checkpoint = site.data / "evidence" / "log" / "checkpoint"
        whole = checkpoint.read_bytes()
        checkpoint.write_bytes(whole.replace(b"\n2\n", b"\n3\n"))
        with pytest.raises(IntegrityError):
            site.seal(b"again", "r-2")
        assert site.gateway.parts()["evidence"] == "down"
        assert anybody.get("/ready/evidence").status_code == 503
        assert anybody.get("/ready/feed").status_code == 200
        checkpoint.write_bytes(whole)
        assert site.seal(b"again", "r-2").size == 5
        assert site.gateway.parts()["evidence"] == "ok"
