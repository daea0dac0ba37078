"""Sealed blobs: ciphertext hash, age file, plaintext hash and size, each against the seal in the log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from gateway.errors import VerificationError
from gateway.evidence.verify.agefile import file_key, payload, read_header
from gateway.evidence.verify.digest import Digest
from gateway.evidence.verify.files import opened, walk
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.unwrap import Keyring

BLOB = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{28})\.age")
_DRAIN = 1 << 20


class _Hashing:
    """A file that is hashed as it is read, so that one pass gives both hashes."""

    def __init__(self, file: BinaryIO, digest: Digest) -> None:
        self._file, self._hash = file, digest
        self.size = 0

    def read(self, size: int, /) -> bytes:
        """Read, and hash what was read."""
        return self._counted(self._file.read(size))

    def readline(self, size: int, /) -> bytes:
        """Read a line, and hash it."""
        return self._counted(self._file.readline(size))

    def whole(self) -> str:
        """Read the rest; the hash of everything."""
        while self.read(_DRAIN):
            pass
        return self._hash.hexdigest()

    def _counted(self, chunk: bytes) -> bytes:
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk


def blob_path(blob: str) -> str:
    """Where a blob lies, below the evidence directory."""
    return f"blobs/{blob[:2]}/{blob[2:4]}/{blob}.age"


def check_blob(evidence: Path, seal: Leaf, keyring: Keyring | None, report: Report) -> None:
    """Check one sealed exhibit; without a keyring only the ciphertext."""
    with report.collecting():
        for name in ("blob", "blob_sha256", "sha256", "size"):
            if name not in seal.facts:
                raise VerificationError(f"{seal.where} (seal)", f"a fact {name}", "none")
        name = blob_path(seal.facts["blob"])
        identity = None if keyring is None else _identity(seal, keyring, report)
        with opened(evidence / name, name) as file, Digest() as whole:
            source = _Hashing(file, whole)
            if identity is not None:
                with report.collecting():
                    _check_plaintext(source, identity, seal, name)
            found = source.whole()
        report.count("blobs")
        report.count("bytes", source.size)
        if found != seal.facts["blob_sha256"]:
            raise VerificationError(name, f"blob_sha256 {seal.facts['blob_sha256']} of {seal.where}", found)


def _identity(seal: Leaf, keyring: Keyring, report: Report) -> bytes | None:
    with report.collecting():
        return keyring.open(f"identity/{seal.exhibit}")
    return None


def _check_plaintext(source: _Hashing, identity: bytes, seal: Leaf, name: str) -> None:
    header = read_header(source, name)
    types = [stanza.arguments[0] for stanza in header.stanzas]
    if types != ["X25519"]:
        raise VerificationError(name, "one X25519 recipient", shown(", ".join(types)))
    with Digest() as digest:
        size = 0
        for chunk in payload(source, file_key(header, identity, name), name):
            digest.update(chunk)
            size += len(chunk)
        found = digest.hexdigest()
    if size != seal.facts["size"]:
        raise VerificationError(name, f"size {seal.facts['size']} of {seal.where}", str(size))
    if found != seal.facts["sha256"]:
        raise VerificationError(name, f"sha256 {seal.facts['sha256']} of {seal.where}", found)


def count_orphans(evidence: Path, known: set[str], report: Report) -> None:
    """Count blobs that no leaf names: renamed into place, then no seal (or not yet one)."""
    with report.collecting():
        for name in walk(evidence / "blobs", "blobs"):
            match = BLOB.fullmatch(name)
            if match is None:
                report.note(f"blobs/{shown(name)}: not a blob's name")
            elif match[3] not in known:
                report.count("orphan_blobs")
