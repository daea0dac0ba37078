"""After a key is destroyed, no byte anywhere opens the recording: looked for in every file, tried with the real age."""

from __future__ import annotations

import base64
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from gateway.crypto.age import Identity
from gateway.evidence.purge import StorePlace, file_names
from gateway.evidence.vault.files import DiskFiles
from gateway.store.keyring import Keyring
from tests import peers
from tests.evidence.disposal.lab import FILM, Lab


@pytest.fixture
def lab(tmp_path: Path):
    """An open store with many keys, so that rows have moved between pages."""
    made = Lab(tmp_path / "store")
    with made.opened():
        for number in range(300):
            made.keyring.put(f"run/X-FILLER{number * 7919 % 1000:04d}/0", bytes(32))
        yield made
    made.close()


def wrapped(path: Path, name: str) -> bytes:
    """The wrapped bytes of a key, past Lapel."""
    link = sqlite3.connect(path)
    (sealed,) = link.execute("SELECT sealed FROM wrapped WHERE name = ?", (name,)).fetchone()
    link.close()
    return sealed


def forms(secret: bytes, *sealed: bytes) -> dict[str, bytes]:
    """Every form in which an identity might lie about."""
    said = Identity(secret).printed().encode()
    plain = {"raw": secret, "hex": secret.hex().encode(), "base64": base64.b64encode(secret)[:-1]}
    worded = {"bech32": said, "bech32 lower": said.lower()}
    return {**plain, **worded, **{f"wrapped {number}": part for number, part in enumerate(sealed)}}


def found_in(folder: Path, sought: dict[str, bytes]) -> list[str]:
    """Where any of these bytes lies, file by file, journals and indexes of databases among them."""
    hits = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            hits += [f"{path.name}: {form}" for form, part in sought.items() if part in content]
    return hits


def opens(identity: str, blob: Path, tmp_path: Path) -> bool:
    """Whether the stock age opens a blob with an identity."""
    key = tmp_path / "identity.txt"
    key.write_text(identity + "\n")
    done = subprocess.run([peers.program("age"), "-d", "-i", str(key), str(blob)], capture_output=True)
    return done.returncode == 0 and done.stdout == FILM


def test_nothing_opens_it_any_more(lab: Lab, tmp_path: Path) -> None:
    """Store, second copy, a backup of the store made before, a kept copy of the blob: no key for it is left in any."""
    exhibit, other = lab.seal(), lab.seal(b"another")
    second = tmp_path / "second"
    keys = Keyring(second / "keys.db", lab.keystore)
    keys.open()
    secret = lab.keyring.get(f"identity/{exhibit}")
    keys.put(f"identity/{exhibit}", secret)
    row = lab.catalogue.exhibit(exhibit)
    for name in file_names(row)[:2]:
        (second / name).parent.mkdir(parents=True)
        shutil.copy(lab.evidence / name, second / name)
    kept = tmp_path / "kept.age"
    shutil.copy(lab.evidence / file_names(row)[0], kept)
    backup = tmp_path / "backup"
    shutil.copytree(lab.evidence, backup, ignore=shutil.ignore_patterns("keys.db*"))
    sealed = [wrapped(path, f"identity/{exhibit}") for path in (lab.keyring.path, keys.path)]
    sought = forms(secret, *sealed)
    assert found_in(lab.evidence, sought), "the search finds what is there"
    assert opens(Identity(secret).printed(), kept, tmp_path)
    one = lab.ready(exhibit)
    desk = lab.desk()
    copy = StorePlace(second, keys, DiskFiles())
    copy.name = "second"
    lab.execution(desk, copy).turn()
    assert desk.one(one.id).state(desk.now) == "done"
    for folder in (lab.directory, second, backup):
        assert found_in(folder, sought) == [], folder
    left = [lab.keyring.get(name) for name in lab.keyring.names()] + [keys.get(name) for name in keys.names()]
    assert len(left) > 300
    identities = {secret for secret in left if secret and any(secret)}
    assert lab.keyring.get(f"identity/{other}") in identities
    assert not any(opens(Identity(each).printed(), kept, tmp_path) for each in identities)
    assert list(second.rglob("*.age")) == []
    keys.close()
    lab.verified()


def test_a_reader_of_the_journal_is_waited_for(lab: Lab, monkeypatch) -> None:
    """While somebody reads an old state of keys.db its journal cannot be cut: not called done, and done later."""
    exhibit = lab.seal()
    sealed = wrapped(lab.keyring.path, f"identity/{exhibit}")
    one = lab.ready(exhibit)
    reader = sqlite3.connect(lab.keyring.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM wrapped").fetchone()
    monkeypatch.setattr("gateway.store.sqlite.BUSY_MS", 50)
    lab.keyring.close()
    lab.keyring.open()
    desk = lab.desk()
    execution = lab.execution(desk)
    execution.turn()
    assert "journal is being read" in execution.progress[exhibit].problem
    assert desk.one(one.id).state(desk.now) == "under_way"
    reader.close()
    execution.turn()
    assert desk.one(one.id).state(desk.now) == "done"
    assert found_in(lab.evidence, {"wrapped": sealed}) == []


def test_details_that_were_erased_are_erased_again(lab: Lab) -> None:
    """A copy that took over had the disposal in its log and had not erased yet: the first look does."""
    exhibit = lab.seal()
    lab.seal(b"another")
    (path,) = (lab.evidence / "details").glob("*.dtl")
    before, entries = path.read_bytes(), len(lab.kinds(exhibit))
    lab.ready(exhibit, ground="erasure", erase=True)
    execution = lab.execution(lab.desk())
    execution.turn()
    assert execution.sweep() == 0
    path.write_bytes(before + path.read_bytes()[len(before) :])
    assert execution.sweep() == entries
    lab.verified()


def test_what_a_restore_brings_back_is_destroyed_again(lab: Lab) -> None:
    """keys.db of yesterday over today's: the daily look finds the key of what was disposed of, and its blob."""
    exhibit, other = lab.seal(), lab.seal(b"another")
    row = lab.catalogue.exhibit(exhibit)
    blob = lab.evidence / file_names(row)[0]
    secret, content = lab.keyring.get(f"identity/{exhibit}"), blob.read_bytes()
    lab.ready(exhibit)
    execution = lab.execution(lab.desk())
    execution.turn()
    assert execution.sweep() == 0
    lab.keyring.put(f"identity/{exhibit}", secret)
    blob.write_bytes(content)
    assert execution.sweep() == 2
    assert lab.keyring.get(f"identity/{exhibit}") is None
    assert lab.keyring.get(f"identity/{other}") is not None
    assert not blob.exists()
    lab.verified()
