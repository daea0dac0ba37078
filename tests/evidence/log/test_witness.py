"""The witness: what it answers, what it keeps, and that no crash makes it cosign two histories."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import pytest

from gateway.crypto.cosignatures import cosigned_at
from gateway.crypto.notes import parse_note, verify_note
from gateway.errors import ConfigError, IntegrityError
from gateway.evidence.log.add_checkpoint import SIZE_MEDIA, log_id
from tests.evidence.log.lab import AT, CrashError, FaultyDisk
from tests.evidence.log.witness_lab import FORKED, LEAVES, LOG_KEY, ORIGIN, code, note, request, witness


def test_it_cosigns_what_extends(tmp_path: Path) -> None:
    """First sight, growth, and the same again; the answer is a cosignature over the note."""
    seen = witness(tmp_path)
    for old, size in ((0, 5), (5, 5), (5, 20), (20, 21)):
        answer = seen.add(request(old, size))
        assert answer.status == 200
        whole = parse_note((note(size) + answer.body.decode()).encode())
        assert cosigned_at(whole, seen.key) == int(AT.timestamp())
    kept = seen.latest(log_id(ORIGIN))
    assert kept is not None
    assert verify_note(kept.encode(), LOG_KEY).split("\n")[1] == "21"
    assert seen.latest("0" * 64) is None


def test_statuses_of_the_specification(tmp_path: Path) -> None:
    """400, 403, 404, 409 with the size and its media type, 422."""
    seen = witness(tmp_path)
    assert seen.add(request(0, 10)).status == 200
    assert seen.add(b"nonsense").status == 400
    assert seen.add(request(10, 10).replace(b"old 10", b"old 11")).status == 400
    assert seen.add(request(10, 12).replace(ORIGIN.encode(), b"else.test/log")).status == 404
    forged = request(10, 12).replace(b"\n12\n", b"\n13\n")
    assert seen.add(forged).status == 403
    stale = seen.add(request(7, 12))
    assert (code(stale), stale.media) == ((409, "10\n"), SIZE_MEDIA)
    assert seen.add(request(10, 12, FORKED)).status == 422
    assert seen.add(request(10, 12)).status == 200


@pytest.mark.parametrize(
    ("old", "size", "leaves", "status", "kind"),
    [
        (10, 10, FORKED, 422, "fork"),
        (0, 8, LEAVES, 409, "rollback"),
        (10, 15, FORKED, 422, "inconsistent"),
    ],
)
def test_a_refused_history_is_kept_with_both_checkpoints(
    tmp_path: Path, old: int, size: int, leaves: list[bytes], status: int, kind: str
) -> None:
    """Refused, kept once with both signatures of the log, still refused afterwards and after a restart."""
    seen = witness(tmp_path)
    seen.add(request(0, 10))
    for again in (seen, seen, witness(tmp_path)):
        assert again.add(request(old, size, leaves)).status == status
    (proof,) = (tmp_path / "refused" / log_id(ORIGIN)).iterdir()
    told = json.loads(proof.read_bytes())
    assert (told["kind"], told["origin"]) == (kind, ORIGIN)
    assert verify_note(told["cosigned"].encode(), LOG_KEY).split("\n")[1] == "10"
    assert verify_note(told["offered"].encode(), LOG_KEY).split("\n")[1] == str(size)
    assert seen.add(request(10, 11)).status == 200


def test_a_forged_fork_is_not_kept(tmp_path: Path) -> None:
    """Only what the log's key signed is evidence against it."""
    seen = witness(tmp_path)
    seen.add(request(0, 10))
    assert seen.add(request(0, 10, FORKED).replace(b"\n10\n", b"\n9\n")).status == 403
    assert not (tmp_path / "refused").exists()


def test_other_signatures_are_left_aside(tmp_path: Path) -> None:
    """A checkpoint may come with cosignatures; what is kept has the log's line and ours."""
    seen = witness(tmp_path)
    line = seen.add(request(0, 5)).body
    assert seen.add(request(5, 5) + line).status == 200
    kept = seen.latest(log_id(ORIGIN))
    assert kept is not None
    assert len(parse_note(kept.encode()).signatures) == 2


@pytest.mark.parametrize("keep", [False, True])
def test_crash_at_every_step(tmp_path: Path, keep: bool) -> None:
    """Whatever the moment, what was answered is remembered; no fork of it is cosigned afterwards."""
    steps = FaultyDisk()
    witness(tmp_path / "whole", steps).add(request(0, 10))
    for at in range(steps.count):
        state = tmp_path / f"crash-{at}"
        first = None
        try:
            first = witness(state, FaultyDisk(at, keep=keep)).add(request(0, 10))
        except CrashError:
            assert first is None
        again = witness(state)
        known = again.latest(log_id(ORIGIN))
        assert known is None or known.split("\n")[1] == "10"
        assert again.add(request(0, 10, FORKED)).status == (200 if known is None else 422)


@pytest.mark.parametrize("keep", [False, True])
def test_crash_while_growing(tmp_path: Path, keep: bool) -> None:
    """The last checkpoint is the old one or the new one, and never gone."""
    state = tmp_path / "state"
    witness(state).add(request(0, 10))
    steps = FaultyDisk()
    witness(state, steps).add(request(10, 10))
    for at in range(steps.count):
        size = int(str(witness(state).latest(log_id(ORIGIN))).split("\n")[1])
        with contextlib.suppress(CrashError):
            witness(state, FaultyDisk(at, keep=keep)).add(request(size, size + 1))
        assert str(witness(state).latest(log_id(ORIGIN))).split("\n")[1] in {str(size), str(size + 1)}


def test_a_full_disk_is_no_cosignature(tmp_path: Path) -> None:
    """Nothing is answered for that could not be kept; with space again it goes on."""
    disk = FaultyDisk(crash=False)
    seen = witness(tmp_path, disk)
    seen.add(request(0, 3))
    for at in range(3):
        disk.at, disk.count = at, 0
        with pytest.raises(OSError):
            seen.add(request(3, 4))
        disk.at = -1
    assert seen.add(request(int(str(seen.latest(log_id(ORIGIN))).split("\n")[1]), 5)).status == 200


def test_two_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    """Twenty submissions at the same time: the remembered size never goes back (tlog-witness, the race)."""
    seen = witness(tmp_path)
    seen.add(request(0, 10))
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda size=size: answers.append(seen.add(request(10, size)).status))
        for size in range(11, 31)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 19


def test_a_changed_state_is_refused(tmp_path: Path) -> None:
    """A state that is not what was written is no state: nothing is cosigned on top of it."""
    seen = witness(tmp_path)
    seen.add(request(0, 10))
    path = tmp_path / "logs" / f"{log_id(ORIGIN)}.note"
    path.write_text(path.read_text().replace("\n10\n", "\n2\n"))
    with pytest.raises(IntegrityError):
        witness(tmp_path)
    with pytest.raises(IntegrityError):
        seen.add(request(10, 11))


def test_a_state_belongs_to_one_name_and_key(tmp_path: Path) -> None:
    """Another name over the same state is refused, and so is a state without its key's name."""
    witness(tmp_path).add(request(0, 3))
    with pytest.raises(ConfigError):
        witness(tmp_path, name="witness.test/w2")
    (tmp_path / "witness.vkey").unlink()
    with pytest.raises(ConfigError):
        witness(tmp_path)
