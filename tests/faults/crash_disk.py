"""A file system that can lose power: ext4 on a loop device, whose flushed part alone can be copied.

What the gateway writes lies first in the page cache of the mounted file system; the image file holds
only what the kernel has sent to the (loop) block device: by an fsync, or by its own writeback. A copy
of the image file taken while nothing is being sent is therefore what a power cut leaves behind.
Not emulated: a drive that loses what it has taken but was not told to flush.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import peers

COPY_TRIES = 50
COMMIT_S = 300
"""ext4's own commit every 5 s would save some of what nobody synced; a test that waits less needs none."""


def needs_root() -> None:
    """Leave the test out, saying so, where no file system can be mounted."""
    for name in ("mkfs.ext4", "losetup", "mount", "umount"):
        peers.program(name)
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("LEFT OUT, nothing shown about power cuts or full disks: needs root and loop devices")


def _run(name: str, *words: str) -> str:
    done = subprocess.run([peers.program(name), *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{name} {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


class CrashDisk:
    """One image, mounted at `place`; after a `cut` the same place shows what had been flushed."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Make the file system; `mounted` mounts it."""
        self.place = folder / "disk"
        self._folder, self._number, self._loop = folder, 0, ""
        self.place.mkdir()
        with self._image.open("wb") as image:
            image.truncate(megabytes << 20)
        # Nothing initialised later on: only what is written through the mount reaches the device.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))

    @property
    def _image(self) -> Path:
        return self._folder / f"disk-{self._number}.img"

    def mount(self) -> None:
        """Mount the present image; what its journal holds is replayed."""
        self._loop = _run("losetup", "--find", "--show", str(self._image))
        try:
            _run("mount", "-o", f"commit={COMMIT_S}", self._loop, str(self.place))
        except AssertionError:
            self._detach()
            raise

    def unmount(self) -> None:
        """Unmount; again is no error."""
        if os.path.ismount(self.place):
            _run("umount", str(self.place))
        self._detach()

    def _detach(self) -> None:
        loop, self._loop = self._loop, ""
        if loop:
            _run("losetup", "--detach", loop)

    def copy_flushed(self) -> Path:
        """Copy what has reached the block device; again where something reached it meanwhile."""
        copy = self._folder / f"disk-{self._number + 1}.img"
        for _ in range(COPY_TRIES):
            before = self._sent()
            _run("cp", "--sparse=auto", str(self._image), str(copy))
            if self._sent() == before:
                return copy
        raise AssertionError("the kernel never stopped writing to the loop device")

    def _sent(self) -> tuple[str, ...]:
        """Writes and flushes that the device has completed, and what is in flight."""
        fields = Path(f"/sys/block/{Path(self._loop).name}/stat").read_text().split()
        return (fields[4], fields[6], fields[8], *fields[15:16])

    def use_copy(self) -> None:
        """The power is back: the copy is mounted in the original's place. Nobody has a file open here any more."""
        self.unmount()
        self._image.unlink()
        self._number += 1
        self.mount()


@contextlib.contextmanager
def crash_disk(folder: Path, megabytes: int) -> Iterator[CrashDisk]:
    """One mounted disk, unmounted at the end whatever happens."""
    needs_root()
    disk = CrashDisk(folder, megabytes)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory of exactly that size: full means full, to the page."""
    needs_root()
    place = folder / "disk"
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "lapel-test", str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))
