"""A receipt is believed only whole: this file's, under the pinned key, of a seal that is complete."""

from __future__ import annotations

import base64
import json

import pytest

from gateway.crypto.notes import parse_vkey
from gateway.dock.receipt import verify_receipt
from tests.firmware_stubs.test_rotation import rotation
from tests.firmware_stubs.tiny_log import TinyLog

SHA = "ab" * 32


@pytest.fixture
def log():
    """A log of somebody else's making."""
    return TinyLog()


def judged(log, receipt, **other):
    """What the dock says to it."""
    told = {"recording": "rec-1", "size": 10, "sha256": SHA, "key": parse_vkey(log.vkey), **other}
    return verify_receipt(receipt, **told)


def test_a_sound_receipt(log):
    """Exhibit, index and keep_until are told."""
    proven = judged(log, log.receipt("rec-1", 10, SHA))
    assert (proven.exhibit, proven.log_index, proven.keep_until.isoformat()) == (
        "X-0001",
        3,
        "2026-11-22T21:08:02+00:00",
    )


@pytest.mark.parametrize(
    "name", ["exhibit", "recording", "size", "sha256", "log_index", "entry", "proof", "keep_until"]
)
@pytest.mark.parametrize("value", [None, "", 7, "x", "ff" * 32, [], base64.b64encode(b"{}").decode()])
def test_any_part_changed_and_it_does_not_hold(log, name, value):
    """Missing, of another type, of another file."""
    receipt = log.receipt("rec-1", 10, SHA)
    assert receipt[name] != value
    with pytest.raises(ValueError):
        judged(log, {**receipt, name: value})


@pytest.mark.parametrize(
    "change", [{"complete": False}, {"kind": "receive"}, {"sha256": "00" * 32}, {"size": 9}, {"exhibit": "X-2"}]
)
def test_an_entry_that_seals_something_else(log, change):
    """However well it is proven."""
    leaf = {"kind": "seal", "exhibit": "X-0001", "sha256": SHA, "size": 10, "complete": True, **change}
    receipt = log.receipt("rec-1", 10, SHA)
    receipt["entry"] = base64.b64encode(json.dumps(leaf).encode()).decode()
    receipt["log_index"] = log.append(json.dumps(leaf).encode())
    receipt["proof"] = log.proof(receipt["log_index"])
    with pytest.raises(ValueError, match="does not seal"):
        judged(log, receipt)


def test_another_key(log):
    """The same words under a key that was not pinned."""
    with pytest.raises(ValueError):
        judged(TinyLog(b"\x08" * 32), log.receipt("rec-1", 10, SHA))


@pytest.mark.parametrize("other", [{"recording": "rec-2"}, {"size": 11}, {"sha256": "cd" * 32}])
def test_another_file(log, other):
    """A receipt replayed for another recording."""
    with pytest.raises(ValueError, match="not this file's"):
        judged(log, log.receipt("rec-1", 10, SHA), **other)


def test_a_key_that_was_rotated(log):
    """The pinned key hands over: followed; without its word, or for more than it handed over, refused."""
    new = TinyLog(seed=b"\x09" * 32)
    receipt = new.receipt("rec-1", 10, SHA)
    with pytest.raises(ValueError, match="0 signatures"):
        judged(log, receipt)
    assert judged(log, {**receipt, "rotations": [rotation(log, new, 2)]}).log_index == receipt["log_index"]
    with pytest.raises(ValueError, match="signatures"):
        judged(log, {**receipt, "rotations": [rotation(log, new, 2, signers=[new])]})
    old = log.receipt("rec-1", 10, SHA)
    assert judged(log, {**old, "rotations": [rotation(log, new, 5)]}).log_index == old["log_index"]
    with pytest.raises(ValueError, match="rotated at 3"):
        judged(log, {**old, "rotations": [rotation(log, new, 2)]})
    for wrong in (["x"], "x", [7]):
        with pytest.raises(ValueError, match=r".+"):
            judged(log, {**old, "rotations": wrong})
