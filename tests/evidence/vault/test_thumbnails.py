"""Thumbnails: under the exhibit's own identity, whole or not there, gone with its key."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from gateway.crypto.age import Identity
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError, IntegrityError
from gateway.evidence.vault.thumbnails import Thumbnails
from tests import peers
from tests.evidence.vault.lab import FakeKeyring, FaultyFiles

EXHIBIT = ExhibitId("X-01JDP7Q3ABCD")
PICTURE = b"\xff\xd8\xff" + os.urandom(20_000) + b"\xff\xd9"


@pytest.fixture
def keyring() -> FakeKeyring:
    """The exhibit has its key."""
    ring = FakeKeyring()
    ring.put(f"identity/{EXHIBIT}", Identity.fresh().secret)
    return ring


@pytest.fixture
def kept(tmp_path: Path, keyring: FakeKeyring) -> Thumbnails:
    """Nothing yet."""
    return Thumbnails(tmp_path, keyring)


def test_there_and_back(kept: Thumbnails, tmp_path: Path) -> None:
    """What was put is given back; the hash is of the file as it lies there; nothing is in clear."""
    assert kept.get(EXHIBIT) is None
    digest = kept.put(EXHIBIT, PICTURE)
    path = tmp_path / "thumbnails" / "CD" / f"{EXHIBIT}.age"
    assert kept.get(EXHIBIT) == PICTURE
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert PICTURE[100:200] not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_new_one_takes_the_place(kept: Thumbnails, tmp_path: Path) -> None:
    """Another picture, another file key, the same place."""
    assert kept.put(EXHIBIT, PICTURE) != kept.put(EXHIBIT, PICTURE)
    kept.put(EXHIBIT, b"\xff\xd8\xffnew\xff\xd9")
    assert kept.get(EXHIBIT) == b"\xff\xd8\xffnew\xff\xd9"
    assert len(list((tmp_path / "thumbnails").rglob("*.*"))) == 1


def test_the_stock_tool_opens_it(kept: Thumbnails, keyring: FakeKeyring, tmp_path: Path) -> None:
    """`age -d` with the identity that opens the master."""
    peers.program("age")
    kept.put(EXHIBIT, PICTURE)
    identity = tmp_path / "identity"
    identity.write_text(Identity(keyring.secrets[f"identity/{EXHIBIT}"]).printed())
    done = subprocess.run(["age", "-d", "-i", identity, kept.path(EXHIBIT)], capture_output=True, check=True)
    assert done.stdout == PICTURE


def test_gone_with_its_key(kept: Thumbnails, keyring: FakeKeyring) -> None:
    """Without the exhibit's key there is no picture to be had, and none is made."""
    kept.put(EXHIBIT, PICTURE)
    keyring.delete(f"identity/{EXHIBIT}")
    with pytest.raises(EvidenceError, match="has no key"):
        kept.get(EXHIBIT)
    with pytest.raises(EvidenceError, match="has no key"):
        kept.put(EXHIBIT, PICTURE)


@pytest.mark.parametrize("name", ["../X-01", "X-", "X-01/../../etc", "X-01\0AB", "x-01jdp7q3abcd", "", "X-" + "0" * 99])
def test_no_name_leads_elsewhere(kept: Thumbnails, name: str) -> None:
    """A path is made of an exhibit's id or not at all."""
    with pytest.raises(ValueError, match="not an exhibit's id"):
        kept.path(ExhibitId(name))


def test_one_that_was_changed(kept: Thumbnails) -> None:
    """A flipped byte is said."""
    kept.put(EXHIBIT, PICTURE)
    path = kept.path(EXHIBIT)
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError):
        kept.get(EXHIBIT)


def test_every_operation_failed_once(tmp_path: Path, keyring: FakeKeyring) -> None:
    """Whichever write, sync or rename fails: the old picture or the new one, and the next put works."""
    counting = FaultyFiles()
    (tmp_path / "count").mkdir()
    Thumbnails(tmp_path / "count", keyring, counting).put(EXHIBIT, PICTURE)
    for after in (False, True):
        for number in range(len(counting.calls)):
            root = tmp_path / f"{after}-{number}"
            root.mkdir()
            old = b"\xff\xd8\xffold\xff\xd9"
            Thumbnails(root, keyring).put(EXHIBIT, old)
            files = FaultyFiles()
            files.fail_at, files.after, files.error = number, after, errno.ENOSPC
            faulty = Thumbnails(root, keyring, files)
            with pytest.raises(OSError, match="injected"):
                faulty.put(EXHIBIT, PICTURE)
            assert faulty.get(EXHIBIT) in (old, PICTURE)
            assert faulty.put(EXHIBIT, PICTURE)
            assert faulty.get(EXHIBIT) == PICTURE
            assert len(list((root / "thumbnails").rglob("*.*"))) == 1
