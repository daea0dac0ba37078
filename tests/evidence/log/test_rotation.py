"""The log's key rotated: one entry hands over, each step may fail, and there is never a second head."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.notes import VerifierKey, parse_note, parse_vkey, sign_note, verify_note
from gateway.domain.evidence import Act
from gateway.errors import GatewayError, IntegrityError, StoreBusyError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.known_keys import KnownKeys, read_chain
from gateway.evidence.log.proof import verify_proof
from gateway.evidence.log.rotation import Rotation, follow, open_rotation
from tests.evidence.log.lab import CrashError, FaultyDisk, Lab, act
from tests.evidence.log.power import PowerCutDisk
from tests.evidence.log.test_faults import copy, full
from tests.evidence.log.witness_lab import LOG_SIGNER, WITNESS_SIGNER

__all__ = ["full"]
ROTATE = Act("key_rotate", "cli:test", detail={"reason": "yearly"})
BEFORE = 253


def rotated(lab: Lab, disk: Disk | None = None, *, overlap: bool = False) -> tuple[VerifierKey, VerifierKey]:
    """(old, new) after one rotation."""
    with lab.opened(disk) as log:
        old = parse_vkey(log.vkey)
        log.rotate_now(ROTATE, lab.keystore.log_keys.fresh(), overlap=overlap)
        return old, parse_vkey(log.vkey)


def signers(note: str) -> set[bytes]:
    """The key ids on a note."""
    return {blob[:4] for _, blob in parse_note(note.encode()).signatures}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A log of three entries."""
    lab = Lab(tmp_path / "store")
    with lab.opened() as log:
        for number in range(3):
            log.record_now(act(number))
    return lab


def test_the_entry_hands_over(lab: Lab) -> None:
    """The last entry under the old key; the checkpoint over it has both signatures, the next one the new alone."""
    with lab.opened() as log:
        before = log.record_now(act(3))
        old = parse_vkey(log.vkey)
        done = log.rotate_now(ROTATE, lab.keystore.log_keys.fresh())
        new = parse_vkey(log.vkey)
        facts = json.loads(done.leaf)
        assert (facts["what"], facts["old"], facts["new"]) == ("log", str(old), str(new))
        both = log.checkpoint_text
        assert signers(both) == {old.key_id, new.key_id}
        assert verify_note(both.encode(), old) == verify_note(both.encode(), new)
        after = log.record_now(act(4))
        assert signers(log.checkpoint_text) == {new.key_id}
        assert log.rotations == (facts["signed"],)
    assert verify_proof(before.proof, before.leaf, old) == 3
    assert verify_proof(done.proof, done.leaf, old) == verify_proof(done.proof, done.leaf, new) == 4
    assert verify_proof(after.proof, after.leaf, new) == 5
    with pytest.raises(ValueError, match="0 signatures"):
        verify_proof(after.proof, after.leaf, old)
    assert (lab.evidence / "log/log.vkey").read_text() == f"{new}\n"
    assert open_rotation(facts["signed"]).size == 4
    lab.check()


def test_overlap_until_the_old_key_is_gone(lab: Lab) -> None:
    """Somebody who has pinned the old key alone can go on for a while; then its file goes, and it signs no more."""
    old, new = rotated(lab, overlap=True)
    with lab.opened() as log:
        log.record_now(act(5))
        assert signers(log.checkpoint_text) == {old.key_id, new.key_id}
        assert lab.keystore.log_keys.forget(old.public)
        assert not lab.keystore.log_keys.forget(old.public)
        log.record_now(act(6))
        assert signers(log.checkpoint_text) == {new.key_id}
    with lab.opened() as log:
        assert parse_vkey(log.vkey) == new


def test_twice(lab: Lab) -> None:
    """A chain of two; the first key leads to the last, the last to itself, another's to nothing."""
    first, second = rotated(lab)
    _, third = rotated(lab)
    notes = read_chain(lab.evidence / "log")
    assert follow(notes, first) == follow(notes, second) == follow(notes, third) == third
    assert follow(notes[1:], first) == first
    known = KnownKeys(lab.evidence / "log", first)
    known.reload()
    assert [known.at(size) for size in (0, 3, 4, 5, 9)] == [first, first, second, third, third]


def test_an_old_key_is_worth_nothing_beyond_its_last_entry(lab: Lab) -> None:
    """A checkpoint that the old key signs alone, over more than it handed over, is refused."""
    first = lab.keystore.log_keys.of(lab.keystore.log_keys.public)
    assert first is not None
    old, _ = rotated(lab)
    path = lab.evidence / "log/checkpoint"
    with lab.opened() as log:
        log.record_now(act(4))
    path.write_text(sign_note(parse_note(path.read_bytes()).text, old.name, first))
    with pytest.raises(IntegrityError, match="0 signatures"):
        lab.log().open_now()


def test_another_process_goes_on_with_the_new_key(lab: Lab) -> None:
    """A gateway that was running when a command rotated: its next entry is signed by the new key, the chain is one."""
    with lab.opened() as running:
        running.record_now(act(3))
        other = Lab(lab.directory)
        _, new = rotated(other)
        other.close()
        recorded = running.record_now(act(5))
        assert recorded.index == 5
        assert signers(running.checkpoint_text) == {new.key_id}
        assert parse_vkey(running.vkey) == new
    lab.check()


def test_without_the_new_private_key_nothing_is_signed(lab: Lab) -> None:
    """The log names a key that is not here: refused, rather than signed by another."""
    rotated(lab)
    (lab.directory / "keys/log-2.key").unlink()
    lab.keystore.load()
    with pytest.raises(IntegrityError, match="no private key"):
        lab.log().open_now()


def attempt(lab: Lab, disk: FaultyDisk) -> bool:
    """Open and rotate: True if it was acknowledged."""
    log = lab.log(disk)
    try:
        log.open_now()
        log.rotate_now(ROTATE, lab.keystore.log_keys.fresh())
    except (CrashError, StoreBusyError):
        return False
    finally:
        log.close_now()
    return True


def settled(lab: Lab, start: int) -> bool:
    """After whatever happened: old or new key, wholly; the next entry and another rotation go on from it."""
    with lab.opened() as log:
        size, current = log.size, parse_vkey(log.vkey)
        assert size in {start, start + 1}
        assert len(log.rotations) == size - start
        if size > start:
            rotation = open_rotation(log.rotations[0])
            assert (rotation.new, rotation.size) == (current, start)
        log.record_now(act(7))
        assert signers(log.checkpoint_text) == {current.key_id}
    lab.check()
    return size > start


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_every_step_fails_once(full: Path, tmp_path: Path, keep: bool, crash: bool) -> None:
    """Kept or lost, crashed or out of space: it took place or it did not, and nothing else."""
    disk = FaultyDisk()
    lab = copy(full, tmp_path)
    assert attempt(lab, disk)
    lab.close()
    seen = set()
    for at in range(disk.count):
        lab = copy(full, tmp_path)
        told = attempt(lab, FaultyDisk(at, keep=keep, crash=crash))
        seen.add(settled(lab, BEFORE))
        assert not told or True in seen
        lab.close()
    assert seen == {False, True}


def test_power_cut_at_every_step(full: Path, tmp_path: Path) -> None:
    """Of a disk that loses whatever was not synced, the same."""
    at, told = 0, False
    while not told:
        lab = copy(full, tmp_path)
        disk = PowerCutDisk(lab.evidence, at)
        told = attempt(lab, disk)
        disk.cut()
        assert settled(lab, BEFORE) or not told, "an acknowledged rotation is gone"
        lab.close()
        at += 1
    assert at > 25


def test_at_the_end_of_a_bundle(full: Path, tmp_path: Path) -> None:
    """The entry that hands over fills its bundle: a start still sees that it is the newest, and finishes."""
    lab = copy(full, tmp_path)
    with lab.opened() as log:
        log.record_now(act(1))
        log.record_now(act(2))
    count = FaultyDisk()
    assert attempt(lab, count)
    assert (lab.evidence / "log/tile/entries/000").exists()
    names = [number for number, name in enumerate(count.done) if name == "rename"]
    lab.close()
    lab = copy(full, tmp_path)
    with lab.opened() as log:
        log.record_now(act(1))
        log.record_now(act(2))
    assert not attempt(lab, FaultyDisk(names[-1]))  # the last rename is that of log.vkey
    assert settled(lab, BEFORE + 2)
    lab.close()


@given(
    size=st.integers(0, 1 << 40), root=st.binary(min_size=32, max_size=32), overlap=st.booleans(), flip=st.integers(0)
)
def test_print_and_parse(size: int, root: bytes, overlap: bool, flip: int) -> None:
    """What is printed is read again; with any character changed it is refused."""
    keys = [VerifierKey("a.test/log", each.public) for each in (LOG_SIGNER, WITNESS_SIGNER)]
    rotation = Rotation(keys[0], keys[1], size, root, overlap)
    note = rotation.sign(LOG_SIGNER, WITNESS_SIGNER)
    assert open_rotation(note) == rotation
    at = flip % len(note)
    changed = note[:at] + ("x" if note[at] != "x" else "y") + note[at + 1 :]
    with pytest.raises(ValueError, match=r".+"):
        open_rotation(changed)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_nothing_else_is_a_rotation(text: str) -> None:
    """Whatever else is a ValueError, never another error."""
    with pytest.raises(ValueError, match=r".*"):
        open_rotation(text)


def test_a_chain_that_was_damaged_is_named(lab: Lab) -> None:
    """Not JSON, or a note that does not verify: an integrity failure that names the file."""
    rotated(lab)
    path = lab.evidence / "log/keys.jsonl"
    whole = path.read_bytes()
    for damaged in (b"{", whole.replace(b"size", b"sise"), whole[:-40]):
        path.write_bytes(damaged)
        with pytest.raises(GatewayError, match=r"keys\.jsonl"):
            lab.log().open_now()
