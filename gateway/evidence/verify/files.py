"""Reading files that anybody may have damaged: capped, regular files only, two kinds of failure."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gateway.errors import VerificationError
from gateway.evidence.verify.report import UnreadError, shown

DEPTH_MAX = 12
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@contextmanager
def opened(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file to read; absent is a difference, refused is unread."""
    try:
        # A pipe in a file's place must not hang the verifier.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise VerificationError(name, "a regular file", "something else")
            yield file
    except _ABSENT as error:
        raise VerificationError(name, "a file", "none" if isinstance(error, FileNotFoundError) else "no file") from None
    except OSError as error:
        raise UnreadError(name, "a readable file", error.strerror or type(error).__name__) from None


def read_whole(path: Path, cap: int, name: str) -> bytes:
    """Read a small file whole; more than cap bytes is a difference."""
    with opened(path, name) as file:
        raw = file.read(cap + 1)
    if len(raw) > cap:
        raise VerificationError(name, f"at most {cap} bytes", "more")
    return raw


def walk(top: Path, name: str, depth: int = DEPTH_MAX) -> Iterator[str]:
    """Relative paths of everything below a directory that is not a directory; a missing one is empty."""
    if depth == 0:
        raise VerificationError(name, f"at most {DEPTH_MAX} directories inside one another", "more")
    try:
        with os.scandir(top) as found:
            entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise VerificationError(name, "a directory", "a file") from None
    except OSError as error:
        raise UnreadError(name, "a readable directory", error.strerror or type(error).__name__) from None
    for entry, is_directory in entries:
        if is_directory:
            yield from (f"{entry}/{below}" for below in walk(top / entry, f"{name}/{entry}", depth - 1))
        else:
            yield entry


def from_base64(text: str, length: int | None, path: str, what: str) -> bytes:
    """Decode canonical RFC 4648 base64 (padded): equal to its re-printed form, of the length wanted."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(path, f"{what} in base64", shown(text)) from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise VerificationError(path, f"{what} in canonical base64", shown(text))
    if length is not None and len(raw) != length:
        raise VerificationError(path, f"{what} of {length} bytes", f"{len(raw)} bytes")
    return raw


def ascii_text(raw: bytes, path: str) -> str:
    """Decode ASCII."""
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise VerificationError(path, "ASCII", shown(raw)) from None


def exists(path: Path) -> bool:
    """Whether something is there, as far as that can be seen."""
    try:
        return path.exists()
    except OSError:
        return True
