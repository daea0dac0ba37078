"""The log's files: strays, older partial tiles, a batch that waits in `pending`."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import VerificationError
from gateway.evidence.verify.notes import parse_vkey
from gateway.evidence.verify.pending import parse_pending
from gateway.evidence.verify.proof import prove
from gateway.evidence.verify.rotations import Keys
from gateway.evidence.verify.store import verify_log
from gateway.evidence.verify.tree import leaf_hash, root_from_inclusion
from tests.evidence.verify.build_store import checkpoint, log_of, mth, put, tile_path, write_log

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = parse_vkey(checkpoint([], KEY)[1], "vkey")


def entries(count):
    """Entries that need not be leaves: the log alone does not read them."""
    return [f"entry {number}".encode() for number in range(count)]


def log_at(evidence, count):
    """A log of so many entries."""
    write_log(evidence / "log", entries(count), KEY)
    return evidence


def pending(old, new, **changes):
    """A `pending` file from old to new entries."""
    signed, _ = checkpoint(entries(new), KEY)
    leaves = [base64.b64encode(one).decode() for one in entries(new)[old:]]
    return json.dumps({"v": 1, "old_size": old, "leaves": leaves, "checkpoint": signed.decode()} | changes).encode()


def found(evidence):
    """Paths of all findings."""
    return {finding.path for finding in verify_log(evidence).findings}


@pytest.mark.parametrize(
    "name",
    ["tile/0/001", "tile/0/000.p/9", "tile/1/000.p/1", "tile/entries/000.p/9", "tile/junk", "tile/0/0", "tile/7/000"],
)
def test_stray_tiles_are_named(tmp_path, name):
    """A tile that no tree of this size has is named."""
    put(log_at(tmp_path, 8) / "log" / name, b"x")
    assert found(tmp_path) == {f"log/{name}"}


def test_older_partial_tiles_may_stay(tmp_path):
    """Partial tiles of earlier checkpoints stay or go; if they stay they must be right."""
    for count in (3, 200, 256, 300):
        log_at(tmp_path, count)
    report = verify_log(tmp_path)
    assert report.ok, report
    assert report.counts["superseded_tiles"] == 4
    old = tmp_path / "log" / "tile" / tile_path("entries", 0, 200)
    old.write_bytes(old.read_bytes().replace(b"entry 7", b"entry 8", 1))
    assert found(tmp_path) == {"log/tile/entries/000.p/200"}
    old.unlink()
    put(tmp_path / "log" / "tile" / "0" / "000.p" / "3", bytes(96))
    assert found(tmp_path) == {"log/tile/0/000.p/3"}


def test_temporary_files_are_noted(tmp_path):
    """A write that did not end leaves a name that is only noted."""
    put(log_at(tmp_path, 3) / "log" / "tile" / "0" / "000.p" / "3.tmp", b"x")
    assert verify_log(tmp_path).ok
    assert "did not end" in verify_log(tmp_path).notes[0]


@pytest.mark.parametrize(("now", "old", "new"), [(8, 8, 11), (250, 250, 260), (0, 0, 1), (11, 8, 11)])
def test_pending_is_said(tmp_path, now, old, new):
    """A committed batch that waits is said and is no failure, before its tiles are there and after."""
    put(log_at(tmp_path, now) / "log" / "pending", pending(old, new))
    report = verify_log(tmp_path)
    assert report.ok, report
    assert "a batch committed" in report.notes[0]
    signed = (tmp_path / "log" / "checkpoint").read_bytes()
    log_at(tmp_path, new)
    put(tmp_path / "log" / "checkpoint", signed)
    assert verify_log(tmp_path).ok


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{}", b"[]", b"\xff", b"[" * 100_000, pending(8, 9, v=2), pending(8, 9, old_size=-1)),
        *(pending(8, 9, leaves="x"), pending(8, 9, leaves=[1]), pending(8, 9, leaves=["?"]), pending(8, 9, leaves=[])),
        *(pending(8, 9, checkpoint="x"), pending(8, 9, checkpoint=1), pending(8, 9, checkpoint="\ud800")),
        *(pending(9, 10), pending(3, 6), pending(8, 9, leaves=[base64.b64encode(b"other").decode()])),
        pending(8, 9, checkpoint=checkpoint(entries(9), Ed25519PrivateKey.generate())[0].decode()),
    ],
)
def test_pending_that_is_not_this_logs_next_batch(tmp_path, raw):
    """A `pending` that is damaged, forged, or does not extend the log is a finding."""
    put(log_at(tmp_path, 8) / "log" / "pending", raw)
    assert found(tmp_path) == {"log/pending"}


@given(st.binary(max_size=60))
def test_pending_garbage(raw):
    """Garbage raises VerificationError and nothing else."""
    with pytest.raises(VerificationError):
        parse_pending(raw, Keys(VKEY))


@pytest.mark.parametrize("count", [300, 65_537])
def test_wrong_hash_in_an_upper_tile(tmp_path, count):
    """A hash tile above the lowest is derived again and compared."""
    log_at(tmp_path, 300) if count == 300 else write_log(tmp_path / "log", [b"%d" % i for i in range(count)], KEY)
    level = 1 if count == 300 else 2
    path = tmp_path / "log" / "tile" / tile_path(level, 0, 1)
    assert verify_log(tmp_path).ok
    path.write_bytes(bytes(32))
    assert found(tmp_path) == {f"log/tile/{tile_path(level, 0, 1)}"}


def test_a_lowest_hash_tile_is_blamed_where_the_entries_are_right(tmp_path):
    """Entries that lead to the signed root are not blamed for a damaged hash tile: both sides are named."""
    path = log_at(tmp_path, 8) / "log" / "tile" / "0" / "000.p" / "8"
    path.write_bytes(bytes(32) + path.read_bytes()[32:])
    report = verify_log(tmp_path)
    assert len(report.findings) == 1
    assert "log/tile/0/000.p/8" in report.findings[0].path


def test_root_of_other_entries(tmp_path):
    """Tiles that agree with each other but not with the signed root: the checkpoint is named."""
    log_at(tmp_path, 8)
    signed, _ = checkpoint([*entries(7), b"another"], KEY)
    put(tmp_path / "log" / "checkpoint", signed)
    assert found(tmp_path) == {"log/checkpoint"}


def test_rolled_back_checkpoint(tmp_path):
    """An old checkpoint put back: the tiles beyond it are strays."""
    log_at(tmp_path, 8)
    signed, _ = checkpoint(entries(5), KEY)
    put(tmp_path / "log" / "checkpoint", signed)
    assert "log/tile/entries/000.p/8" in found(tmp_path)


@pytest.mark.parametrize("index", [0, 7, 255, 256, 299])
def test_proof_leads_to_the_root(tmp_path, index):
    """The .tlog-proof of an entry has its index, its path and the checkpoint as it is."""
    log_at(tmp_path, 300)
    got = prove(tmp_path, index)
    head, _, signed = got.text.partition("\n\n")
    lines = head.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {index}"]
    path = [base64.b64decode(line) for line in lines[2:]]
    assert root_from_inclusion(index, 300, leaf_hash(got.leaf), path) == mth(entries(300))
    assert signed.encode() == (tmp_path / "log" / "checkpoint").read_bytes()
    assert json.loads(got.as_json())["proof"] == got.text


def test_no_proof_from_a_damaged_log(tmp_path):
    """A proof is given of a whole log only, and of entries that it has."""
    built = log_of(tmp_path, 3)
    with pytest.raises(ValueError, match="no entry 3"):
        prove(built.evidence, 3)
    (built.evidence / "log" / "tile" / "0" / "000.p" / "3").write_bytes(bytes(96))
    with pytest.raises(VerificationError):
        prove(built.evidence, 0)
