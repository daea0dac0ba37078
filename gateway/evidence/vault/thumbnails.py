"""Thumbnails: one small picture an exhibit, under the exhibit's own identity (docs/formats.md, "thumbnails")."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from gateway.crypto.age import Identity, chacha20poly1305
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError
from gateway.evidence.needs import Keyring
from gateway.evidence.vault.blobs import AgeFile, BlobWriter
from gateway.evidence.vault.files import DiskFiles, Files

_EXHIBIT = re.compile(r"X-[0-9A-Z]{2,32}")
CONTENT_MAX = 1 << 20


class Thumbnails:
    """thumbnails/<last two letters>/<exhibit-id>.age; destroying the exhibit's key destroys its picture."""

    def __init__(self, root: Path, keyring: Keyring, files: Files | None = None) -> None:
        """Name the evidence directory; nothing is made yet."""
        self._root, self._keyring, self._files = root / "thumbnails", keyring, files or DiskFiles()

    def path(self, exhibit: ExhibitId) -> Path:
        """Where an exhibit's picture lies; ValueError for what is no exhibit's id."""
        if not _EXHIBIT.fullmatch(exhibit):
            raise ValueError(f"{exhibit!r} is not an exhibit's id")
        return self._root / exhibit[-2:] / f"{exhibit}.age"

    def put(self, exhibit: ExhibitId, content: bytes) -> str:
        """Keep a picture, in place of an earlier one, durable on return; SHA-256 (hex) of the age file. Blocks."""
        identity = self._identity(exhibit)
        path = self.path(exhibit)
        new = path.with_suffix(".new")
        for directory in (self._root, path.parent):
            self._files.make_directory(directory)
            self._files.sync_directory(directory.parent)
        self._files.remove_tree(new)
        try:
            writer = BlobWriter.create(self._files, new, identity, chacha20poly1305)
            with contextlib.closing(writer.handle):
                writer.feed(content)
                digests = writer.finish()
                writer.handle.datasync()
            self._files.rename(new, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the next one begins by removing it
                self._files.remove_tree(new)
            raise
        self._files.sync_directory(path.parent)
        return digests.blob_sha256

    def get(self, exhibit: ExhibitId) -> bytes | None:
        """The picture; None where there is none. EvidenceError where its key is gone. Blocks."""
        path = self.path(exhibit)
        if not os.path.lexists(path):
            return None
        file = AgeFile(path, self._identity(exhibit))
        try:
            if file.size > CONTENT_MAX:
                raise EvidenceError(f"the thumbnail of {exhibit} has {file.size} bytes, at most {CONTENT_MAX}")
            return b"".join(file.read(0, file.size))
        finally:
            file.close()

    def _identity(self, exhibit: ExhibitId) -> Identity:
        secret = self._keyring.get(f"identity/{exhibit}")
        if secret is None:
            raise EvidenceError(f"exhibit {exhibit} has no key: it was disposed of")
        return Identity(secret)
