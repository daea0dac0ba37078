"""An export stopped at every step: never half a bag under its name, one act on record, and the next run finishes it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import exporting
from gateway.evidence.export import masters
from gateway.evidence.vault.files import DiskFiles
from tests.cli.bagged import WORDS, steps, stock
from tests.cli.conftest import Lapel


class PowerCut(BaseException):
    """The process is gone."""


class Failing(DiskFiles):
    """File operations of which one ends the process, or fails, before or after it is done."""

    def __init__(self, at: int, problem: BaseException, *, after: bool = False) -> None:
        self.done, self._at, self._problem, self._after = 0, at, problem, after

    def _counted(self, name: str, *words: Any, **more: Any) -> Any:
        self.done += 1
        if self.done == self._at and not self._after:
            raise self._problem
        answer = getattr(DiskFiles, name)(self, *words, **more)
        if self.done == self._at:
            if isinstance(answer, int) and name in ("create", "open"):
                os.close(answer)
            raise self._problem
        return answer

    def create(self, path: Path) -> int:
        return self._counted("create", path)

    def open(self, path: Path, *, write: bool) -> int:
        return self._counted("open", path, write=write)

    def write(self, fd: int, content: bytes, at: int) -> None:
        self._counted("write", fd, content, at)

    def datasync(self, fd: int) -> None:
        self._counted("datasync", fd)

    def sync_directory(self, path: Path) -> None:
        self._counted("sync_directory", path)

    def rename(self, source: Path, target: Path) -> None:
        self._counted("rename", source, target)

    def make_directory(self, path: Path) -> None:
        self._counted("make_directory", path)

    def remove_tree(self, path: Path) -> None:
        self._counted("remove_tree", path)


def _words(lapel: Lapel, store: Path, target: Path) -> tuple[object, ...]:
    (row, *_) = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
    return ("evidence", "export", row["id"], "-o", target, *WORDS, "--data", store)


def _acts(lapel: Lapel, store: Path, exhibit: object) -> int:
    shown = lapel("evidence", "show", exhibit, "--data", store, "--json").json
    return [each["kind"] for each in shown["custody"]].count("export")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_step(
    store: Path, lapel: Lapel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """Whatever is under the final name verifies; the same command finishes the rest; the act is on record once."""
    monkeypatch.setattr(masters, "STEP", 65536)
    words = _words(lapel, store, tmp_path / "whole")
    counting = Failing(0, PowerCut())
    monkeypatch.setattr(exporting, "DiskFiles", lambda: counting)
    assert lapel(*words).code == 0
    assert counting.done > 60
    every = int(os.environ.get("LAPEL_CRASH_EVERY", "23"))
    acts = 1
    for at in range(1 + after, counting.done + 1, every):
        target = tmp_path / f"bag{at}"
        words = _words(lapel, store, target)
        failing = Failing(at, PowerCut(), after=after)
        monkeypatch.setattr(exporting, "DiskFiles", lambda failing=failing: failing)
        with pytest.raises(PowerCut):
            lapel(*words)
        if target.exists():
            assert stock(target, steps(target))[0] == 0, at
        monkeypatch.setattr(exporting, "DiskFiles", DiskFiles)
        done = lapel(*words)
        named = target.exists() and done.code == 1 and "is there already" in done.err
        assert done.code == 0 or named, (at, done.err)
        acts += 1
        assert lapel("verify-export", target).code == 1, at
        assert not target.with_name(f"{target.name}.part").exists(), at
        assert _acts(lapel, store, words[2]) == acts, at
    assert stock(target, steps(target))[0] == 0
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0


def test_a_crash_while_it_is_encrypted(
    store: Path, lapel: Lapel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter under its name is a whole one; the next run ends it, and leaves nothing in clear."""
    subprocess.run(["age-keygen", "-o", tmp_path / "key"], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", tmp_path / "key"], capture_output=True, text=True).stdout.strip()

    def words(name: str) -> tuple[object, ...]:
        return (*_words(lapel, store, tmp_path / name), "--to-age", recipient)

    counting = Failing(0, PowerCut())
    monkeypatch.setattr(exporting, "DiskFiles", lambda: counting)
    assert lapel(*words("whole")).code == 0
    last = counting.done
    for at in (last - 20, last - 12, last - 8, last - 5, last - 3, last - 2, last - 1, last):
        failing, name = Failing(at, PowerCut()), f"bag{at}"
        monkeypatch.setattr(exporting, "DiskFiles", lambda failing=failing: failing)
        with pytest.raises(PowerCut):
            lapel(*words(name))
        monkeypatch.setattr(exporting, "DiskFiles", DiskFiles)
        done = lapel(*words(name))
        assert done.code == 0 or "is there already" in done.err, (at, done.err)
        opened = f"age -d -i {tmp_path}/key {tmp_path}/{name}.tar.age | tar -x -C {tmp_path}"
        subprocess.run(["bash", "-o", "pipefail", "-c", opened], check=True)
        assert lapel("verify-export", tmp_path / name).code == 1, at
        assert not list(tmp_path.glob("*.part")), at


def test_a_full_disk_is_said_and_the_next_run_goes_on(
    store: Path, lapel: Lapel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1 and the reason; nothing under the name; then the same export under the same id."""
    words = _words(lapel, store, tmp_path / "bag")
    monkeypatch.setattr(exporting, "DiskFiles", lambda: Failing(20, OSError(28, "No space left on device")))
    failed = lapel(*words)
    assert (failed.code, "No space left" in failed.err, (tmp_path / "bag").exists()) == (1, True, False)
    other = lapel(*words[:-2], "--purpose", "another", *words[-2:])
    assert (other.code, "holds another export" in other.err) == (1, True)
    monkeypatch.setattr(exporting, "DiskFiles", DiskFiles)
    assert lapel(*words).code == 0
    assert _acts(lapel, store, words[2]) == 1
    again = lapel(*words)
    assert (again.code, "is there already" in again.err) == (1, True)
    assert _acts(lapel, store, words[2]) == 1


class _Deaf:
    """Witnesses that never cosign."""

    async def run(self) -> None:
        """Nothing comes."""

    async def wait_cosigned(self, index: int, patience_s: float | None = None) -> Any:
        """Wait for ever."""
        import asyncio

        await asyncio.Event().wait()


def test_it_waits_for_the_quorum(store: Path, lapel: Lapel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the witnesses no bag: it says what it waits for, and goes on when they are back."""

    @contextlib.asynccontextmanager
    async def deaf(*_: object) -> AsyncIterator[_Deaf]:
        yield _Deaf()

    words = (*_words(lapel, store, tmp_path / "bag"), "--wait", "0.2")
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "witnessed", deaf)
        late = lapel(*words)
    assert (late.code, "not cosigned by the quorum" in late.err, (tmp_path / "bag").exists()) == (1, True, False)
    assert lapel(*words).code == 0
    assert _acts(lapel, store, words[2]) == 1
    assert stock(tmp_path / "bag", steps(tmp_path / "bag"))[0] == 0


def test_a_blob_that_is_not_what_was_sealed_leaves_no_bag(store: Path, lapel: Lapel, tmp_path: Path) -> None:
    """Exit 3, the exhibit named; what was begun is never given the name."""
    words = _words(lapel, store, tmp_path / "bag")
    for blob in (store / "evidence/blobs").rglob("*.age"):
        whole = bytearray(blob.read_bytes())
        whole[-20] ^= 1
        blob.write_bytes(bytes(whole))
    done = lapel(*words)
    assert (done.code in (1, 3), (tmp_path / "bag").exists()) == (True, False), done.err
