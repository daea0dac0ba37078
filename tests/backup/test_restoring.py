"""A backup put back: all of it verified and in place, or nothing there; what is missing by name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backup import restoring
from gateway.backup.checking import opened
from gateway.backup.key_backups import make as back_up_keys
from gateway.backup.keys_file import KeysFile
from gateway.backup.known import judge
from gateway.backup.restored import MARK, Restored, clear_mark, read_mark, refuse_restored
from gateway.backup.restoring import Put, Restoring
from gateway.domain.evidence import Act
from gateway.errors import ConfigError, IntegrityError, VerificationError
from gateway.evidence.log.disk import Disk
from gateway.evidence.verify.completeness import completeness
from gateway.evidence_half import records_at
from gateway.observe import SystemClock
from gateway.store.wrapped import Wrapped, read_wrapped, write_wrapped
from tests.backup.lab import FaultyDisk, Small
from tests.evidence.log.lab import ORIGIN, CrashError

STRIDE = int(os.environ.get("LAPEL_BACKUP_STRIDE", "13"))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """A store of three exhibits, one disposed of."""
    made = Small(tmp_path, roster=True)
    for exhibit in ("X-A1", "X-A2", "X-A3"):
        made.seal(exhibit)
    yield made
    made.close()


def keys_of(small: Small) -> KeysFile:
    """The wrapped keys as they are now."""
    return back_up_keys(small.data, ORIGIN, small.folder / "keys", SystemClock().now().utc)[1]


def mark_of(small: Small) -> Restored:
    """What a restore leaves."""
    head = opened(small.folder / "backup").manifest.head
    return Restored(head.backup, head.origin, head.size, head.root, head.size, "2026-11-22T09:00:00.000Z", "test", {})


def put_back(small: Small, keys: KeysFile | None, name: str = "restored", disk: Disk | None = None) -> Put:
    """Restore it without key-encryption keys: blobs are checked by their ciphertext."""
    backup = opened(small.folder / "backup")
    return Restoring(backup, small.folder / name, disk or Disk()).run(keys, None, mark_of(small))


def test_everything_is_there_again(small: Small) -> None:
    """The restored store opens, its catalogue is made anew, and every exhibit has blob and key."""
    small.backup()
    put = put_back(small, keys_of(small))
    assert put.whole, (put.report.findings, put.found, put.gaps)
    assert put.found is not None
    assert (put.found.sealed, put.found.blobs, put.found.keys) == (3, 3, 3)
    target = small.folder / "restored"
    assert (target / "roster.db").exists()
    assert (target / "journal/2026-11-21.key").read_bytes() == b"wrapped"
    with pytest.raises(ConfigError, match="asks the witnesses"), records_at(target / "evidence", small.data / "keys"):
        pass
    with records_at(target / "evidence", small.data / "keys", even_restored=True) as records:
        assert records.catalogue.applied_size == put.restored.size
        assert records.keyring.get("identity/X-A1") is not None
        assert [each.id for each in records.catalogue.exhibits()] == ["X-A3", "X-A2", "X-A1"]


def test_a_missing_blob_is_named_and_the_rest_put_back(small: Small) -> None:
    """A content gone from the backup, another damaged: both by name, exit for 'not whole', the others there."""
    small.backup()
    held = opened(small.folder / "backup")
    paths = [small.blob(name).relative_to(small.data).as_posix() for name in ("X-A1", "X-A2")]
    held.path(held.manifest.files[paths[0]]).unlink()
    held.path(held.manifest.files[paths[1]]).write_bytes(b"rot")
    put = put_back(small, keys_of(small))
    assert not put.whole
    assert {gap.path for gap in put.gaps} == set(paths)
    assert put.found is not None
    assert [name.split()[0] for name in put.found.missing_blobs] == ["X-A1", "X-A2"]
    target = small.folder / "restored"
    assert (target / small.blob("X-A3").relative_to(small.data)).exists()
    assert not (target / paths[1]).exists()
    assert put.report.findings == []


def test_what_was_disposed_of_never_comes_back(small: Small) -> None:
    """Neither blob nor key, though the backup of keys is older than the destruction and holds it still."""
    keys = keys_of(small)
    small.dispose("X-A2")
    small.backup()
    assert "identity/X-A2" in {row.name for row in keys.rows}
    put = put_back(small, keys)
    assert put.whole, (put.report.findings, put.found)
    assert put.found is not None
    assert (put.found.sealed, put.found.ended, put.found.ended_keys) == (2, 1, [])
    target = small.folder / "restored"
    assert not (target / small.blob("X-A2").relative_to(small.data)).exists()
    assert b"identity/X-A2" not in (target / "evidence/keys.db").read_bytes()


def test_keys_that_are_missing_are_named(small: Small) -> None:
    """A backup of keys from before the last seal; and none at all."""
    keys = keys_of(small)
    small.seal("X-A4")
    small.backup()
    put = put_back(small, keys)
    assert put.found is not None
    assert put.found.missing_keys == ["identity/X-A4"]
    bare = put_back(small, None, "bare")
    assert bare.found is not None
    assert bare.found.missing_keys == [
        "identity/X-A1",
        "identity/X-A2",
        "identity/X-A3",
        "identity/X-A4",
        "details/000000",
    ]


def test_uploads_under_way_and_their_keys(small: Small) -> None:
    """One with its run key; one that was sealed before the keys were saved; one whose keys nobody saved."""
    for name in ("X-A7", "X-A8", "X-A9"):
        (small.evidence / "staging" / name).mkdir(parents=True)
        (small.evidence / "staging" / name / "run-0.rec").write_bytes(b"LAPELRUN1\n")
    small.lab.keyring.put("run/X-A7/0", b"1" * 32)
    small.lab.keyring.put("identity/X-A8", b"2" * 32)
    small.backup()
    put = put_back(small, keys_of(small))
    assert put.found is not None
    assert (put.found.staged, put.found.sealed_since, put.found.missing_keys) == (3, ["X-A8"], ["run/X-A9/0"])


def test_a_key_that_came_back_is_seen(small: Small) -> None:
    """Completeness names a key of an exhibit that has ended, whoever put it there."""
    small.dispose("X-A1")
    small.lab.keyring.put("identity/X-A1", b"0" * 32)
    found = completeness(small.evidence)
    assert (found.ended_keys, found.whole) == (["identity/X-A1"], False)


def test_the_place_must_be_empty(small: Small) -> None:
    """Nothing is put over anything; an empty directory is taken."""
    small.backup()
    target = small.folder / "restored"
    target.mkdir()
    assert put_back(small, keys_of(small)).whole
    before = sorted(target.rglob("*"))
    with pytest.raises(ConfigError, match="no empty directory"):
        put_back(small, None)
    assert sorted(target.rglob("*")) == before


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_interrupted_at_every_step(small: Small, keep: bool, crash: bool) -> None:
    """Whole or not at all: whatever stops it, the place is empty or has everything; again, and it is there."""
    small.backup()
    keys, at, ended = keys_of(small), 0, False
    target = small.folder / "restored"
    while not ended:
        disk = FaultyDisk(at, keep=keep, crash=crash)
        try:
            put_back(small, keys, disk=disk)
            ended = disk.count <= at
        except (CrashError, OSError):
            if target.exists():
                assert completeness(target / "evidence").whole
                assert (target / MARK).exists()
        if not target.exists():
            assert put_back(small, keys).whole
        shutil.rmtree(target)
        at += STRIDE
    assert at > 20


def test_a_log_that_cannot_be_read_gets_no_keys(small: Small) -> None:
    """Which keys were destroyed is then unknown: they are left out, and it is said."""
    small.backup()
    held = opened(small.folder / "backup")
    bundle = next(path for path in held.manifest.files if "tile/entries" in path)
    held.path(held.manifest.files[bundle]).unlink()
    put = put_back(small, keys_of(small))
    assert {gap.path for gap in put.gaps} == {bundle, "evidence/keys.db"}
    assert not (small.folder / "restored/evidence/keys.db").exists()


def test_the_feed_begins_a_new_epoch(small: Small) -> None:
    """Numbers that consumers have had are not given out twice."""
    (small.data / "feed").mkdir()
    (small.data / "feed/mark.json").write_text('{"v":1,"epoch":"E","mark":5}')
    (small.data / "feed/urgent.log").write_text('{"v":1,"epoch":"E","horizon":0}\n')
    small.backup()
    put_back(small, keys_of(small))
    assert not (small.folder / "restored/feed/mark.json").exists()
    assert (small.folder / "restored/feed/urgent.log").exists()


def test_what_was_cosigned_before_the_key_changed_is_compared(small: Small) -> None:
    """By the key that counted then: within the backup, and what a witness shows."""
    before = (small.evidence / "log/checkpoint").read_bytes()
    (small.evidence / "log/cosigned").write_bytes(before)
    with small.lab.opened() as log:
        fresh = small.lab.keystore.log_keys.fresh()
        log.rotate_now(Act("key_rotate", "me", None, {"what": "log"}, {"reason": "yearly"}), fresh)
    small.lab.keystore.load()
    small.grow(2)
    small.backup()
    held = opened(small.folder / "backup")
    known = judge(held, [("a witness", before)])
    assert (known.missing, known.unjudged, len(held.rotations)) == ((), (), 1)
    forged = before.replace(b"\n", b"x\n", 1)
    assert len(judge(held, [("a forger", forged)]).unjudged) == 1


def test_how_long_the_log_is_known_to_have_been(small: Small, tmp_path: Path) -> None:
    """A later checkpoint names what is missing; one of another history or log is refused."""
    small.backup()
    held = opened(small.folder / "backup")
    size = held.label.size
    assert judge(held, []).missing == ()
    small.grow(3)
    later = (small.evidence / "log/checkpoint").read_bytes()
    known = judge(held, [("a witness", later)])
    assert (known.missing, known.who) == (((size, size + 4),), "a witness")
    odd = judge(held, [("a file", later.replace(b"\n", b"\nx", 1))])
    assert (odd.missing, len(odd.unjudged), odd.unjudged[0].split(":")[0]) == ((), 1, "a file")
    other = Small(tmp_path / "other")
    shutil.copytree(small.data / "keys", other.data / "keys", dirs_exist_ok=True)
    other.lab.keystore.load()
    other.grow(size)
    with pytest.raises(VerificationError, match="root of"):
        judge(held, [("a witness", (other.evidence / "log/checkpoint").read_bytes())])
    other.close()


def test_the_mark_is_on_record_once(small: Small) -> None:
    """It stands until it is cleared; a broken one is no small matter."""
    small.backup()
    put_back(small, keys_of(small))
    target = small.folder / "restored"
    mark = read_mark(target)
    assert mark == mark_of(small)
    assert mark is not None
    assert (mark.act.kind, mark.act.facts["backup"]) == ("restore", mark.backup)
    assert json.loads((target / MARK).read_bytes())["v"] == 1
    clear_mark(target)
    clear_mark(target)
    assert read_mark(target) is None
    refuse_restored(target)
    (target / MARK).write_text("{")
    with pytest.raises(IntegrityError, match=MARK):
        read_mark(target)


def test_keys_of_another_log_are_refused(small: Small) -> None:
    """They would open nothing."""
    small.backup()
    keys = keys_of(small)
    wrong = KeysFile(type(keys.head)("K-1", "else.test/log", keys.head.at, keys.head.names), keys.rows)
    with pytest.raises(ConfigError, match=r"is of else\.test/log"):
        restoring.restore(opened(small.folder / "backup"), small.folder / "r", wrong, None, mark_of(small))
    assert not (small.folder / "r").exists()


def test_the_journals_keys_come_back_to_the_journal(small: Small) -> None:
    """Without them its frames would be there, and nobody could read them."""
    row = Wrapped("journal/2026-11-21/0011223344556677", "kek-1", b"sealed")
    write_wrapped(small.data / "journal/keys.db", [row])
    small.backup()
    put = put_back(small, keys_of(small))
    target = small.folder / "restored"
    assert read_wrapped(target / "journal/keys.db") == [row]
    assert row not in read_wrapped(target / "evidence/keys.db")
    assert put.found is not None
