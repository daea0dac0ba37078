"""What lies in the folders that a dock watches: which files are finished recordings, and whose they are."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from gateway.dock.settings import FolderSection
from gateway.domain.time import rfc3339

RECEIPT_SUFFIX = ".lapel-receipt.json"
FILES_MAX = 200_000
SERIAL_CAP = 256


Stamp = tuple[int, int, int, int]
"""What tells a file from another without reading it: file system, number, size, time of its last change (ns)."""


class Found(msgspec.Struct, frozen=True):
    """A recording that is finished and its side files (the recording first), and the device they are of."""

    files: tuple[tuple[Path, Stamp], ...]
    device: str
    folder: FolderSection
    started_at: str | None = None

    @property
    def path(self) -> Path:
        """The recording itself."""
        return self.files[0][0]


class Seen(msgspec.Struct, frozen=True):
    """How a file was when it was last looked at, and since when it has been so."""

    stamp: Stamp
    since_s: float


class UnmappedError(Exception):
    """Whose recording a file is cannot be told."""


class Watch:
    """Looks at the folders again and again."""

    def __init__(self, folders: tuple[FolderSection, ...], serials: dict[str, str], settle_s: float) -> None:
        self._folders, self._serials, self._settle_s = folders, serials, settle_s
        self._seen: dict[Path, Seen] = {}
        self.unsettled = 0
        self.problems: dict[str, str] = {}
        """What cannot be sent as it is, by path, with the reason; anew at every look."""

    def scan(self, now_s: float) -> list[Found]:
        """Every finished recording; blocks."""
        self.problems, self.unsettled = {}, 0
        seen, found = self._seen, []
        self._seen = {}
        for folder in self._folders:
            mounts = sorted(glob.glob(folder.path)) if glob.has_magic(folder.path) else [folder.path]  # noqa: PTH207
            for mount in mounts:
                found += self._in(Path(mount), folder, seen, now_s)
        return found

    def _in(self, mount: Path, folder: FolderSection, seen: dict[Path, Seen], now_s: float) -> list[Found]:
        found = []
        for directory, names in self._walk(mount):
            mains = [name for name in names if _matches(name, folder.recordings)]
            for name in mains:
                path = directory / name
                beside = tuple(directory / each for each in names if each not in mains and _beside(each, name, folder))
                finished = [self._settled(each, seen, now_s) for each in (path, *beside)]
                if folder.finished_by is not None:
                    finished = [any(mark in names for mark in _marks(name, folder.finished_by))]
                if all(finished):
                    found += self._of_device((path, *beside), mount, folder)
                else:
                    self.unsettled += 1
        return found

    def _walk(self, mount: Path) -> Iterator[tuple[Path, list[str]]]:
        count = 0
        for directory, folders, names in os.walk(mount, onerror=self._unreadable):
            folders.sort()
            count += len(names)
            if count > FILES_MAX:
                self.problems[str(mount)] = f"more than {FILES_MAX} files: the rest is not looked at"
                return
            yield Path(directory), sorted(name for name in names if _is_file(Path(directory, name)))

    def _unreadable(self, problem: OSError) -> None:
        self.problems[str(problem.filename)] = str(problem.strerror)

    def _settled(self, path: Path, seen: dict[Path, Seen], now_s: float) -> bool:
        try:
            look = path.lstat()
        except OSError as gone:
            self.problems[str(path)] = str(gone.strerror)
            return False
        before, stamp = seen.get(path), (look.st_dev, look.st_ino, look.st_size, look.st_mtime_ns)
        since_s = before.since_s if before is not None and before.stamp == stamp else now_s
        self._seen[path] = Seen(stamp, since_s)
        return now_s - since_s >= self._settle_s

    def _of_device(self, paths: tuple[Path, ...], mount: Path, folder: FolderSection) -> list[Found]:
        path, stamped = paths[0], [(each, self._seen[each].stamp) for each in paths if each in self._seen]
        if len(stamped) < len(paths):
            return []  # one of them has just gone
        try:
            device = self._device(path, mount, folder)
            return [Found(tuple(stamped), device, folder, started_at(path.name, folder))]
        except (UnmappedError, OSError) as wrong:
            self.problems[str(path)] = str(wrong)
            return []

    def _device(self, path: Path, mount: Path, folder: FolderSection) -> str:
        if folder.device is not None and folder.device_from == "fixed":
            return folder.device
        serial = _serial(path, mount, folder)
        if serial not in self._serials:
            raise UnmappedError(f"serial {serial[:64]!r} is no device's: name it under [serials]")
        return self._serials[serial]


def started_at(name: str, folder: FolderSection) -> str | None:
    """When the recording began, where its name says so; None where it does not, never a guess."""
    if folder.time_format is None or folder.name is None or (found := re.search(folder.name, name)) is None:
        return None
    try:
        local = datetime.strptime(found["time"] or "", folder.time_format)  # noqa: DTZ007 - its zone follows
        zone = local.tzinfo or ZoneInfo(folder.time_zone)
        return rfc3339(local.replace(tzinfo=zone).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _serial(path: Path, mount: Path, folder: FolderSection) -> str:
    if folder.device_from == "label":
        return mount.name
    if folder.device_from == "file":
        return _first_line(path, mount, str(folder.serial_file))
    if folder.device_from == "name":
        named = re.search(folder.name or "", path.name)
        if named is None or not named["serial"]:
            raise UnmappedError("its name has no serial number")
        return str(named["serial"])
    parts = path.relative_to(mount).parts
    if len(parts) < 2:
        raise UnmappedError("it lies in no folder that is named by a serial number")
    return parts[0]


def _first_line(path: Path, mount: Path, name: str) -> str:
    """The serial number in the nearest file of that name, from beside the recording up to the mount point."""
    for directory in _upwards(path.parent, mount):
        if _is_file(directory / name):
            with (directory / name).open("rb") as file:
                text = file.read(SERIAL_CAP).decode("utf-8", "replace")
            return (text.splitlines() or [""])[0].strip()
    raise UnmappedError(f"there is no {name} that gives a serial number")


def _upwards(directory: Path, mount: Path) -> Iterator[Path]:
    yield directory
    while directory not in (mount, directory.parent):
        directory = directory.parent
        yield directory


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    if name.endswith((RECEIPT_SUFFIX, ".part")) or name.startswith("."):
        return False
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _beside(name: str, main: str, folder: FolderSection) -> bool:
    """Whether a file is a side file of that recording: the same stem, or the whole name with more behind it."""
    same = Path(name).stem == Path(main).stem or name.startswith(f"{main}.")
    return same and _matches(name, folder.beside)


def _marks(name: str, suffix: str) -> tuple[str, str]:
    return f"{Path(name).stem}{suffix}", f"{name}{suffix}"


def _is_file(path: Path) -> bool:
    """Whether it is a regular file itself: a link is not followed."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
