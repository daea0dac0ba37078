"""Blobs: written in any portions, read anywhere, every kind of damage named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto.age import CHUNK, SEALED_CHUNK, Identity, chacha20poly1305
from gateway.errors import IntegrityError
from gateway.evidence.vault.blobs import AgeFile, BlobTree, BlobWriter
from gateway.evidence.vault.files import DiskFiles
from tests.evidence.vault.lab import noise, sha

IDENTITY = Identity(bytes(range(32)))
BLOB = "0123456789abcdef0123456789abcdef"


def blob(directory, parts, name="x.age"):
    """A finished blob and its digests."""
    writer = BlobWriter.create(DiskFiles(), directory / name, IDENTITY, chacha20poly1305)
    for part in parts:
        writer.feed(part)
    digests = writer.finish()
    writer.handle.close()
    return directory / name, digests


@settings(max_examples=60)
@given(st.lists(st.sampled_from([1, 17, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]), max_size=5), st.data())
def test_any_portions_give_the_same_plaintext(tmp_path_factory, sizes, data):
    """What was fed comes back, whole and by any range; both digests are of what is on disk."""
    parts = [noise(size, seed) for seed, size in enumerate(sizes)]
    content = b"".join(parts)
    path, digests = blob(tmp_path_factory.mktemp("b"), parts)
    assert (digests.sha256, digests.size) == (sha(content), len(content))
    assert digests.blob_sha256 == sha(path.read_bytes())
    file = AgeFile(path, IDENTITY)
    start = data.draw(st.integers(0, len(content) + 3))
    end = data.draw(st.integers(0, len(content) + 3))
    assert b"".join(file.read(0, len(content))) == content
    assert b"".join(file.read(start, end)) == content[start:end]
    file.close()
    file.close()


def test_the_newest_full_chunk_is_held_back(tmp_path):
    """A full chunk is written when the next byte comes, for it may be the last."""
    writer = BlobWriter.create(DiskFiles(), tmp_path / "x.age", IDENTITY, chacha20poly1305)
    writer.feed(noise(CHUNK))
    assert (writer.chunks, len(writer.tail)) == (0, CHUNK)
    writer.feed(b"x")
    assert (writer.chunks, len(writer.tail), writer.size) == (1, 1, CHUNK + 1)
    assert writer.stored.chunk(0) == noise(CHUNK)
    writer.handle.close()


@pytest.mark.parametrize("cut", [1, 17, SEALED_CHUNK, SEALED_CHUNK + 1])
def test_a_cut_blob_is_named(tmp_path, cut):
    """Truncation is seen when the blob is opened, wherever it is read."""
    path, _ = blob(tmp_path, [noise(3 * CHUNK + 5)])
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(IntegrityError, match=r"x\.age"):
        AgeFile(path, IDENTITY)


def test_a_changed_chunk_is_named_when_it_is_read(tmp_path):
    """The other chunks still read."""
    path, _ = blob(tmp_path, [noise(3 * CHUNK)])
    content = bytearray(path.read_bytes())
    content[-2 * SEALED_CHUNK + 9] ^= 1
    path.write_bytes(content)
    file = AgeFile(path, IDENTITY)
    assert b"".join(file.read(0, CHUNK)) == noise(3 * CHUNK)[:CHUNK]
    with pytest.raises(IntegrityError, match=r"x\.age, chunk 1"):
        b"".join(file.read(0, 3 * CHUNK))
    file.close()


def test_a_missing_blob_and_another_identity_are_integrity_errors(tmp_path):
    """A catalogue that names a blob and a disk that has none disagree."""
    with pytest.raises(IntegrityError, match="not there"):
        AgeFile(tmp_path / "none.age", IDENTITY)
    path, _ = blob(tmp_path, [b"x"])
    with pytest.raises(IntegrityError, match="no stanza"):
        AgeFile(path, Identity(bytes(32)))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", BLOB.upper(), BLOB + "0", BLOB[:-1] + "/"])
def test_only_blob_ids_become_paths(tmp_path, name):
    """What a database says is checked before it is a path."""
    with pytest.raises(ValueError, match="blob-id"):
        BlobTree(tmp_path, DiskFiles()).path(name)


def test_place_may_be_done_again(tmp_path):
    """After a crash the same call finds the blob moved already; with neither there, it says so."""
    (tmp_path / "staging").mkdir()
    source = tmp_path / "staging" / "blob.age"
    source.write_bytes(b"sealed")
    tree = BlobTree(tmp_path / "blobs", DiskFiles())
    tree.place(source, BLOB)
    tree.place(source, BLOB)
    assert tree.path(BLOB) == tmp_path / "blobs" / "01" / "23" / f"{BLOB}.age"
    assert tree.path(BLOB).read_bytes() == b"sealed"
    with pytest.raises(IntegrityError):
        tree.place(source, BLOB[::-1])
