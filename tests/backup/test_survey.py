"""Which files go along, and what the log says must be in the vault."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backup.moment import moment, wanted
from gateway.backup.survey import Found, staged, survey
from gateway.errors import ConfigError, IntegrityError
from tests.backup.lab import Small


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """A store of two exhibits."""
    made = Small(tmp_path)
    made.seal("X-A1")
    made.seal("X-A2")
    yield made
    made.close()


def filled(top: Path, *names: str) -> Path:
    """A directory with these files."""
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    return top


def test_what_a_survey_finds(tmp_path: Path) -> None:
    """Everything that nobody has to leave out, whoever put it there; in order."""
    kept = [
        "cameras.db",
        "evidence/former/1/checkpoint",
        "history/2026/a.leaf",
        "journal/2026-11-21.key",
        "key-backups.json",
    ]
    out = [
        *(
            "keys/log.key",
            "keys/deep/kek-1.key",
            "gateway.lock",
            "restored.json",
            "key-backups.lock",
            "evidence/keys.db",
        ),
        *("evidence/keys.db-wal", "evidence/evidence.db", "evidence/log/checkpoint", "evidence/log.next/checkpoint"),
        *("evidence/details/000000.dtl", "evidence/blobs/aa/bb/x.age", "evidence/staging/X-1/run-0.rec"),
        *("evidence/former/1/lock", "cameras.db-wal", "cameras.db-shm", "feed/mark.json.tmp", "witness/witness.key"),
        *("elsewhere/kek-1.key", "elsewhere/log.txt", "copy/keys.db", "thumbnail.new"),
        *("evidence/exports/E-1/data/X-1/master.mp4", "evidence/exports/E-1.json", "evidence/derivatives/X-2.json"),
    ]
    top = filled(tmp_path / "data", *kept, *out)
    found = list(survey(top, (top / "elsewhere",)))
    assert [each.path for each in found] == sorted(kept)
    assert [each.path for each in found if each.is_database] == ["cameras.db"]


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe and a link are named, not followed and not waited for."""
    top = filled(tmp_path / "data", "a")
    os.mkfifo(top / "pipe")
    (top / "link").symlink_to(tmp_path)
    assert list(survey(top)) == [Found("a"), Found("link", "not a regular file"), Found("pipe", "not a regular file")]


def test_uploads_are_read_run_files_first(tmp_path: Path) -> None:
    """What moves from a run file into blob.age meanwhile is then in the latter; an empty directory is none."""
    filled(tmp_path / "staging", "X-1/blob.age", "X-1/run-1.rec", "X-1/run-0.rec", "X-2/run-0.rec")
    (tmp_path / "staging/X-3").mkdir()
    assert [[path.name for path in files] for files in staged(tmp_path)] == [
        ["run-0.rec", "run-1.rec", "blob.age"],
        ["run-0.rec"],
    ]
    assert staged(tmp_path / "nowhere") == []


def test_what_the_log_wants_at_each_size(small: Small) -> None:
    """Sealed, then examined, then ended by the destruction of its key, before anything else of it goes."""
    blob = small.blob("X-A1").stem
    assert set(wanted(small.evidence, 2).blobs) == {blob}
    assert set(wanted(small.evidence, 2).thumbnails) == {"X-A1"}
    assert set(wanted(small.evidence, 4).thumbnails) == {"X-A1", "X-A2"}
    size = len(small.lab.leaves())
    small.dispose("X-A1")
    assert blob in wanted(small.evidence, size).blobs
    found = wanted(small.evidence, size + 3)
    assert (found.ended, blob in found.blobs, "X-A1" in found.thumbnails) == ({"X-A1"}, False, False)
    assert found.exhibits == 2


def test_the_moment_is_one(small: Small) -> None:
    """Checkpoint, edge and length of details belong together, whatever comes behind; full tiles by their names."""
    small.grow(255)
    taken = moment(small.evidence)
    small.grow(300)
    size = taken.checkpoint.size
    assert size == 259
    assert {f"log/tile/entries/001.p/{size - 256}", f"log/tile/0/001.p/{size - 256}", "log/tile/1/000.p/1"} <= set(
        taken.small
    )
    assert list(taken.full_tiles()) == ["tile/0/000", "tile/entries/000"]
    later = moment(small.evidence)
    assert later.checkpoint.size == size + 300
    assert later.details["000000.dtl"] > taken.details["000000.dtl"]


def test_no_log_and_a_broken_one(small: Small, tmp_path: Path) -> None:
    """Named, and nothing is taken of it."""
    with pytest.raises(ConfigError, match="there is no log here"):
        moment(tmp_path / "nowhere")
    edge = next((small.evidence / "log/tile/entries").rglob("*.p/4"))
    edge.unlink()
    with pytest.raises(IntegrityError, match=r"entries/000\.p/4 is missing"):
        moment(small.evidence)
    (small.evidence / "log/checkpoint").write_text("nonsense")
    with pytest.raises(IntegrityError, match="checkpoint"):
        moment(small.evidence)
