"""Backups of a store at work: what goes along, what never does, what goes again, and every way to be interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backup.checking import check, opened
from gateway.backup.making import claimed
from gateway.backup.manifest import CURRENT
from gateway.crypto.notes import VerifierKey
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import ConfigError, IntegrityError, VerificationError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.reader import TileReader
from tests.backup.lab import FaultyDisk, Small, objects
from tests.evidence.log.lab import ORIGIN, CrashError

STRIDE = int(os.environ.get("LAPEL_BACKUP_STRIDE", "13"))
"""Every how manieth step is interrupted; 1 is all of them."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """A store of three exhibits."""
    made = Small(tmp_path, roster=True)
    for exhibit in ("X-A1", "X-A2", "X-A3"):
        made.seal(exhibit)
    yield made
    made.close()


def paths(small: Small, name: str = "backup") -> set[str]:
    """Every file that a backup holds."""
    return set(opened(small.folder / name).manifest.files)


def test_what_goes_along_and_what_never_does(small: Small) -> None:
    """Log, details, blobs, thumbnails, roster, journal with its wrapped keys; no key of the store, no catalogue."""
    (small.data / "authority.key").write_text("secret")
    made = small.backup()
    found = paths(small)
    assert made.gaps == ()
    assert {"roster.db", "journal/2026-11-21.key", "journal/2026-11-21-0001.jrn"} <= found
    assert {"evidence/log/checkpoint", "evidence/log/log.vkey", "evidence/details/000000.dtl"} <= found
    assert {small.blob(name).relative_to(small.data).as_posix() for name in ("X-A1", "X-A2", "X-A3")} <= found
    assert "evidence/thumbnails/A1/X-A1.age" in found
    assert not {path for path in found if path.startswith("keys/") or "keys.db" in path or "evidence.db" in path}
    assert "authority.key" not in found
    secrets = [path.read_bytes() for path in (small.data / "keys").iterdir()]
    whole = b"".join(path.read_bytes() for path in (small.folder / "backup").rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret.strip() in whole]
    assert check(small.folder / "backup").gaps == ()


def test_the_entry_covers_the_manifest(small: Small) -> None:
    """Size, root and manifest hash stand in the log, and the label says the same under the log's key."""
    made = small.backup()
    leaf = json.loads(small.lab.leaves()[-1])
    assert leaf["kind"] == "backup"
    assert (leaf["backup"], leaf["size"], leaf["root"], leaf["manifest"]) == (
        made.backup,
        made.size,
        made.root,
        made.manifest,
    )
    held = opened(small.folder / "backup", small.lab.log_key())
    assert held.label.manifest == made.manifest
    assert made.size == len(small.lab.leaves()) - 1


def test_again_only_what_has_changed(small: Small) -> None:
    """The second copies no blob and no old journal; nothing of the first is left over."""
    first = small.backup()
    again = small.backup()
    assert again.copied_bytes < first.copied_bytes
    assert again.copied_bytes < 3 * 4096
    kept = {file.sha256 for file in opened(small.folder / "backup").manifest.files.values()} | {again.manifest}
    assert objects(small.folder / "backup") == kept


def test_what_is_disposed_of_vanishes(small: Small) -> None:
    """Blob, thumbnail and erased detail leave the backup when it next runs."""
    small.backup()
    content = small.blob("X-A2").read_bytes()
    gone = hashlib.sha256(content).hexdigest()
    assert gone in objects(small.folder / "backup")
    small.dispose("X-A2")
    with small.lab.opened() as log:
        before = (small.evidence / "details/000000.dtl").read_bytes()
        log.erase_detail(2)
    made = small.backup()
    assert made.gaps == ()
    assert made.counts["ended"] == 1
    assert gone not in objects(small.folder / "backup")
    assert hashlib.sha256(before).hexdigest() not in objects(small.folder / "backup")
    assert not {path for path in paths(small) if "X-A2" in path or small.blob("X-A2").name in path}


def test_a_missing_or_damaged_blob_is_named(small: Small) -> None:
    """The rest is saved; what an earlier backup still has is kept there."""
    small.backup("other")
    small.blob("X-A1").unlink()
    small.blob("X-A2").write_bytes(b"rot" * 2000)
    made = small.backup()
    assert {gap.path.rpartition("/")[2] for gap in made.gaps} == {small.blob("X-A1").name, small.blob("X-A2").name}
    assert check(small.folder / "backup").gaps == made.gaps
    again = small.backup("other")
    assert len(again.gaps) == 2
    assert {small.blob(name).relative_to(small.data).as_posix() for name in ("X-A1", "X-A2")} <= paths(small, "other")
    held = opened(small.folder / "other")
    assert not list(held.judged())


def test_disposed_of_while_it_runs(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exhibit that ends between the moment and its copy is not missing, and not in the backup."""
    from gateway.backup import making

    real = making.wanted
    calls: list[int] = []

    def disposing(evidence: Path, size: int) -> object:
        found = real(evidence, size)
        if not calls:
            small.dispose("X-A3")
        calls.append(size)
        return found

    monkeypatch.setattr(making, "wanted", disposing)
    made = small.backup()
    assert made.gaps == ()
    assert len(calls) == 2
    assert small.blob("X-A3").relative_to(small.data).as_posix() not in paths(small)


def test_beside_a_writer(small: Small) -> None:
    """Entries go on being written, over a tile's end too: each backup is whole as of its own checkpoint."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            small.grow(40)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sizes = [small.backup().size for _ in range(4)]
        assert check(small.folder / "backup").gaps == ()
    finally:
        stop.set()
        writer.join()
    assert sizes == sorted(sizes)
    assert sizes[-1] > 256
    held = opened(small.folder / "backup")
    size = held.label.size
    assert f"evidence/log/tile/entries/{size // 256:03d}.p/{size % 256}" in held.manifest.files or size % 256 == 0


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_interrupted_at_every_step(small: Small, keep: bool, crash: bool) -> None:
    """Killed, or a write that fails, lost or kept: the backup before stays complete, and the next run ends well."""
    before = small.backup(noted=False)
    small.seal("X-A4")
    small.dispose("X-A1")
    pattern = small.folder / "pattern"
    shutil.copytree(small.folder / "backup", pattern)
    at, ended = 0, False
    while not ended:
        shutil.rmtree(small.folder / "backup")
        shutil.copytree(pattern, small.folder / "backup")
        disk = FaultyDisk(at, keep=keep, crash=crash)
        try:
            small.backup(disk=disk, noted=False)
            ended = disk.count <= at
        except (CrashError, OSError):
            found = check(small.folder / "backup")
            assert found.backup == before.backup or found.size > before.size
        assert check(small.folder / "backup").gaps == ()
        mended = small.backup(noted=False)
        assert mended.gaps == ()
        held = opened(small.folder / "backup").manifest.files.values()
        assert objects(small.folder / "backup") == {file.sha256 for file in held} | {mended.manifest}
        at += STRIDE
    assert at > 30


def test_a_rolled_back_store_does_not_overwrite_its_backup(small: Small) -> None:
    """Yesterday's store in today's place is refused: the backup is the better one."""
    shutil.copytree(small.data, small.folder / "yesterday")
    small.grow(5)
    small.backup()
    label = (small.folder / "backup" / CURRENT).read_bytes()
    small.close()
    shutil.rmtree(small.data)
    shutil.copytree(small.folder / "yesterday", small.data)
    old = Small.__new__(Small)
    old.folder, old.data = small.folder, small.data
    with pytest.raises(IntegrityError, match="rolled back"):
        old.backup(noted=False)
    assert (small.folder / "backup" / CURRENT).read_bytes() == label


def test_a_backup_by_an_earlier_key_of_the_log(small: Small) -> None:
    """The log's key was changed: what lies there counts by its own key, and is brought up to date under the new one."""
    small.backup(noted=False)
    before = objects(small.folder / "backup")
    (small.data / "keys/log.key").unlink()
    for name in ("checkpoint", "log.vkey"):
        (small.evidence / "log" / name).unlink()
    small.lab.keystore.load(create=True)
    key = VerifierKey(ORIGIN, small.lab.keystore.log_signer.public)
    (small.evidence / "log/log.vkey").write_text(f"{key}\n")
    size = len([path for path in small.data.rglob("*.age") if "blobs" in path.parts]) * 2
    edge = TileReader(small.evidence / "log").edge(size)
    note = Checkpoint(ORIGIN, size, edge.root()).sign(small.lab.keystore.log_signer)
    (small.evidence / "log/checkpoint").write_text(note)
    made = small.backup(noted=False)
    assert made.gaps == ()
    assert len(before & objects(small.folder / "backup")) > 6
    assert check(small.folder / "backup", key).pinned


def test_a_key_that_is_not_the_logs(small: Small) -> None:
    """Nothing is signed by a key that nobody would check it with."""
    (small.data / "keys/log.key").unlink()
    small.lab.keystore.load(create=True)
    with pytest.raises(ConfigError, match="is not that of"):
        small.backup(noted=False)
    assert not (small.folder / "backup" / CURRENT).exists()


def test_uploads_under_way_go_along(small: Small) -> None:
    """Run files and age file of an upload that is open; one that goes away meanwhile is left out."""
    folder = small.evidence / "staging" / "X-A9"
    folder.mkdir(parents=True)
    for name in ("blob.age", "run-0.rec"):
        (folder / name).write_bytes(name.encode())
    small.backup()
    assert {"evidence/staging/X-A9/blob.age", "evidence/staging/X-A9/run-0.rec"} <= paths(small)
    shutil.rmtree(folder)
    small.backup()
    assert not {path for path in paths(small) if "X-A9" in path}


def test_places_that_are_refused(small: Small) -> None:
    """Into the store itself, or while another backup runs there."""
    with pytest.raises(ConfigError, match="lies in the store"):
        small.backup("store/backup")
    with claimed(small.folder / "backup"), pytest.raises(ConfigError, match="under way"):
        small.backup()


@pytest.mark.parametrize("change", ["label", "manifest", "object", "gone"])
def test_a_changed_byte_is_found(small: Small, change: str) -> None:
    """In the label, the manifest, or any content; and a content that is not there."""
    made = small.backup()
    root = small.folder / "backup"
    held = opened(root)
    file = held.manifest.files["evidence/log/checkpoint"]
    places = {"label": root / CURRENT, "manifest": root / "objects" / made.manifest[:2] / made.manifest}
    path = places.get(change, held.path(file))
    if change == "gone":
        path.unlink()
    else:
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 3] ^= 1
        path.write_bytes(raw)
    if change in places:
        with pytest.raises(VerificationError):
            check(root)
        return
    assert [gap.path for gap in check(root).gaps] == ["evidence/log/checkpoint"]


def test_somebody_elses_key(small: Small, tmp_path: Path) -> None:
    """A backup signed by another log is not this one's."""
    small.backup()
    other = Small(tmp_path / "other")
    other.act(Act("view", "P", ExhibitId("X-A1"), {}, {}))
    with pytest.raises(VerificationError, match="signed by the log's key"):
        check(small.folder / "backup", other.lab.log_key())
    other.close()
