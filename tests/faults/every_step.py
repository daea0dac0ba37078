"""Each call of the operating system that changes what lies below a folder, as a step of which one fails."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.evidence.log.lab import CrashError
from tests.evidence.log.power import PowerCutDisk

STRIDE = int(os.environ.get("LAPEL_STEP_STRIDE", "19"))
"""Of all steps every nineteenth, another one in each way of failing; with 1, all of them."""
CALLS = ("open", "write", "pwrite", "fsync", "fdatasync", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
CALLS = (*CALLS, "truncate", "ftruncate")
WAYS = ("crash", "power", "lost", "kept")
"""The process ends; the power goes with it; the call fails undone; the call fails though it was done."""


class EveryStep:
    """Counts the steps, fails the one it is told to, and remembers what was made durable.

    What SQLite and buffered writers do is no step; a power cut takes the latter back unless they were synced.
    """

    def __init__(self, root: Path, way: str = "", at: int = -1, *, dead: type[BaseException] = CrashError) -> None:
        self.root, self.way, self.at, self.dead = root, way, at, dead
        self.done: list[str] = []
        self.gone = False
        self.power = PowerCutDisk(root)
        self._moved: dict[Path, Path] = {}
        self._turn, self._within = threading.Lock(), threading.local()

    @contextmanager
    def taken(self) -> Iterator[EveryStep]:
        """While this lasts, steps are counted."""
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._stepping(name, getattr(os, name)))
            try:
                yield self
            finally:
                if self.way != "power":
                    self.power.let_go()

    def settle(self) -> None:
        """Where the power went, leave on the disk what was durable."""
        if self.way == "power":
            self.power.cut()
        self.power.let_go()

    def _stepping(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            path = None if getattr(self._within, "now", False) else self._below(name, *words, **more)
            if path is None:
                return real(*words, **more)
            self._within.now = True
            try:
                if name in {"rename", "replace"} and path.is_dir():
                    self._moved[Path(os.fsdecode(words[1]))] = path
                return self._step(name, path, lambda: real(*words, **more))
            finally:
                self._within.now = False

        return call

    def _below(self, name: str, first: Any, *words: Any, dir_fd: int | None = None, **_: Any) -> Path | None:
        """What the call changes, where that lies below the root."""
        if name == "open" and not (words and words[0] & (os.O_CREAT | os.O_TRUNC)):
            return None
        at = Path(os.readlink(f"/proc/self/fd/{dir_fd}")) if dir_fd is not None else Path.cwd()
        path = Path(os.readlink(f"/proc/self/fd/{first}")) if isinstance(first, int) else at / os.fsdecode(first)
        return path if path.is_relative_to(self.root) else None

    def _step(self, name: str, path: Path, act: Callable[[], Any]) -> Any:
        with self._turn:
            number, failing = len(self.done), self.gone or len(self.done) == self.at
            self.done.append(f"{name} {path.relative_to(self.root)}")
            self.gone = self.gone or (failing and self.way in {"crash", "power"})
            answer = None if failing and self.way != "kept" else act()
            if failing:
                if name == "open" and answer is not None:
                    os.close(answer)
                raise self._problem(number)
            if name in {"fsync", "fdatasync"} and path.exists():
                PowerCutDisk.fsync(self.power, path)
                self._follow(path)
            return answer

    def _follow(self, synced: Path) -> None:
        """A folder that was renamed takes what is in it along, once its new name lasts."""
        names = self.power.names
        for target in [target for target in self._moved if target.parent == synced and target in names]:
            source = self._moved.pop(target)
            for name in [name for name in names if name.is_relative_to(source)]:
                names[target / name.relative_to(source)] = names.pop(name)

    def _problem(self, number: int) -> BaseException:
        said = self.done[number]
        return self.dead(said) if self.gone else OSError(errno.ENOSPC, f"no space ({said})")


def chosen(count: int, way: str) -> range:
    """Which steps are tried in one way of failing."""
    return range(WAYS.index(way) * 5 % STRIDE, count, STRIDE)
