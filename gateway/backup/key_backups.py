"""Which backups of wrapped keys there are (`DATA/key-backups.json`), so that a destroyed key is destroyed in them too.

A backup is on the list before its file exists, and leaves it after the file is gone: no copy is ever unknown.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from gateway.backup.ids import backup_id
from gateway.backup.keys_file import KeysFile, KeysHead, put, read_keys, remove, remove_unfinished
from gateway.domain.time import rfc3339
from gateway.errors import ConfigError, EvidenceError, GatewayError, IntegrityError, StoreBusyError, VerificationError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.generations import generation_of
from gateway.store.wrapped import Wrapped, read_wrapped

LIST, LOCK = "key-backups.json", "key-backups.lock"
KEYS = ("evidence/keys.db", "journal/keys.db")


class KeyBackup(msgspec.Struct, frozen=True):
    """One backup of wrapped keys: its id, where its file lies, when it was made."""

    id: str
    path: str
    at: str


class _List(msgspec.Struct, frozen=True):
    backups: tuple[KeyBackup, ...] = ()
    v: int = 1


@contextlib.contextmanager
def turn(store: Path) -> Iterator[None]:
    """Alone on the list and its files, so that no key that is destroyed meanwhile gets into a new backup. Blocks."""
    descriptor = os.open(store / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def known(store: Path) -> tuple[KeyBackup, ...]:
    """Every backup on the list, oldest first; IntegrityError where the list cannot be read."""
    path = store / LIST
    try:
        return msgspec.json.decode(path.read_bytes(), type=_List).backups
    except FileNotFoundError:
        return ()
    except msgspec.DecodeError as wrong:
        raise IntegrityError(f"{path}: {wrong}") from wrong


def _write(store: Path, backups: Sequence[KeyBackup], disk: Disk) -> None:
    disk.replace(store / LIST, msgspec.json.encode(_List(tuple(backups))) + b"\n")


def make(store: Path, origin: str, folder: Path, at: datetime, disk: Disk | None = None) -> tuple[KeyBackup, KeysFile]:
    """Write the wrapped keys as they are now into a new file of this folder; durable on return."""
    disk = disk or Disk()
    folder = folder.absolute()
    if folder == store.absolute() or store.absolute() in folder.parents:
        raise ConfigError("-o", f"{folder} lies in the store whose keys it is to save")
    disk.ensure(folder)
    with turn(store):
        name = backup_id(at, "K")
        made = KeyBackup(name, str(folder / f"{name}.keys"), rfc3339(at))
        _write(store, [*known(store), *_unlisted(store, folder, origin), made], disk)
        rows = tuple(row for each in KEYS for row in _rows(store / each))
        file = KeysFile(KeysHead(name, origin, made.at, len(rows)), rows)
        put(Path(made.path), file, disk)
    return made, file


def _rows(path: Path) -> list[Wrapped]:
    """The journal has no keys before its first frame; the evidence store always has some."""
    return read_wrapped(path) if path.exists() or path.parent.name == "evidence" else []


def _unlisted(store: Path, folder: Path, origin: str) -> list[KeyBackup]:
    """Files of this log in the folder that are not on the list: it is older than they are, since it was restored."""
    listed, found = {each.path for each in known(store)}, []
    for path in sorted(folder.glob("K-*.keys")):
        if str(path) not in listed:
            try:
                head = read_keys(path).head
            except VerificationError:
                continue  # whoever restores from it is told
            if generation_of(head.origin)[0] == generation_of(origin)[0]:
                found.append(KeyBackup(head.keys, str(path), head.at))
    return found


def enlist(store: Path, file: Path, head: KeysHead, disk: Disk | None = None) -> None:
    """Put a file on the list where it is not yet."""
    with turn(store):
        if all(each.path != str(file) for each in known(store)):
            _write(store, [*known(store), KeyBackup(head.keys, str(file), head.at)], disk or Disk())


def keep_newest(store: Path, folder: Path, most: int, disk: Disk | None = None) -> list[KeyBackup]:
    """Remove all but the newest few of this folder; which."""
    disk = disk or Disk()
    with turn(store):
        mine = [each for each in known(store) if Path(each.path).parent == folder.absolute()]
        gone = mine[: max(0, len(mine) - most)]
        for each in gone:
            remove(Path(each.path), disk)
        if gone:
            _write(store, [each for each in known(store) if each not in gone], disk)
    return gone


def forget(store: Path, name: str, disk: Disk | None = None) -> bool:
    """Take a backup off the list whose medium was destroyed; whether it was on it. Its file is not looked for."""
    with turn(store):
        left = [each for each in known(store) if each.id != name]
        found = len(left) < len(known(store))
        if found:
            _write(store, left, disk or Disk())
    return found


class KeyBackupPlace:
    """One backup of wrapped keys as a place of which keys are to be forgotten (`gateway.evidence.purge.Place`)."""

    def __init__(self, store: Path, backup: KeyBackup, disk: Disk | None = None) -> None:
        self._store, self._backup, self._disk = store, backup, disk or Disk()
        self.name = f"key backup {backup.id} of {backup.at}, {backup.path}"

    @property
    def reachable(self) -> bool:
        """Whether its file can be read now."""
        return os.access(self._backup.path, os.R_OK | os.W_OK)

    def forget_key(self, name: str) -> bool:
        """Write the file anew without this key, durable on return; whether it held it."""
        return self.forget_keys([name])

    def forget_keys(self, names: Sequence[str]) -> bool:
        """Write the file anew without these keys, durable on return; whether it held any.

        OSError or StoreBusyError: not now; it is out of reach, or nobody knows what a damaged file holds.
        """
        path = Path(self._backup.path)
        with turn(self._store):
            remove_unfinished(path, self._disk)
            try:
                file = read_keys(path)
            except VerificationError as wrong:
                raise StoreBusyError(str(wrong)) from wrong
            fewer = file.without(*names)
            if len(fewer.rows) == len(file.rows):
                return False
            put(path, fewer, self._disk)
        return True

    def forget_file(self, relative: str) -> bool:
        """There are no files of exhibits here."""
        del relative
        return False


def unreached(store: Path, names: Sequence[str]) -> list[str]:
    """Take destroyed keys out of every backup; those that could not be reached, by name."""
    missed = []
    for place in places(store) if names else []:
        try:
            place.forget_keys(names)
        except (OSError, GatewayError):
            missed.append(place.name)
    return missed


def places(store: Path) -> list[KeyBackupPlace]:
    """Every backup on the list; those that cannot be reached raise OSError when asked, and are named by it."""
    return [KeyBackupPlace(store, each) for each in known(store)]


def refuse_needed(store: Path, kek: str) -> None:
    """EvidenceError where the newest backup that can be read is wrapped under this key-encryption key."""
    for each in reversed(known(store)):
        try:
            rows = read_keys(Path(each.path)).rows
        except (OSError, VerificationError):
            continue
        if any(row.kek == kek for row in rows):
            raise EvidenceError(
                f"{kek} opens the newest backup of wrapped keys, {each.path}: `lapel keys backup` first"
            )
        return
