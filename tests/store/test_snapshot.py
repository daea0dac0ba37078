"""A SQLite file copied while others write it, and a monitor's state."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import MisuseError, StoreBusyError
from gateway.evidence.monitor.frontier import Frontier
from gateway.evidence.monitor.items import Item
from gateway.evidence.monitor.look import Memory
from gateway.store.monitor_state import MonitorState
from gateway.store.snapshot import snapshot


def filled(path: Path) -> sqlite3.Connection:
    """A file in WAL mode with pairs of rows that belong together."""
    link = sqlite3.connect(path, check_same_thread=False)
    link.execute("PRAGMA journal_mode=WAL")
    link.execute("CREATE TABLE pair (n INTEGER, side TEXT)")
    return link


def test_one_moment_of_a_busy_file(tmp_path: Path) -> None:
    """However fast it grows, every pair in the copy is whole."""
    stop = threading.Event()
    with closing(filled(tmp_path / "a.db")) as link:

        def write() -> None:
            n = 0
            while not stop.is_set():
                with link:
                    link.executemany("INSERT INTO pair VALUES (?, ?)", [(n, "left"), (n, "right")])
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                snapshot(tmp_path / "a.db", tmp_path / f"{number}.db")
        finally:
            stop.set()
            writer.join()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as copy:
            assert copy.execute(
                "SELECT count(*) FROM (SELECT n FROM pair GROUP BY n HAVING count(*) != 2)"
            ).fetchone() == (0,)
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert not (tmp_path / f"{number}.db-wal").exists()
        assert (tmp_path / f"{number}.db").stat().st_mode & 0o077 == 0


def test_what_was_deleted_stays_behind(tmp_path: Path) -> None:
    """Free pages do not come along."""
    with closing(filled(tmp_path / "a.db")) as link, link:
        link.execute("INSERT INTO pair VALUES (1, ?)", ("secret" * 50,))
        link.commit()
        link.execute("DELETE FROM pair")
        link.commit()
        snapshot(tmp_path / "a.db", tmp_path / "copy.db")
    assert b"secretsecret" not in (tmp_path / "copy.db").read_bytes()


def test_what_is_none(tmp_path: Path) -> None:
    """No database, or a target that is there."""
    (tmp_path / "a.db").write_bytes(b"nonsense" * 100)
    with pytest.raises(StoreBusyError, match=r"a\.db"):
        snapshot(tmp_path / "a.db", tmp_path / "copy.db")
    with pytest.raises(FileExistsError):
        snapshot(tmp_path / "a.db", tmp_path / "copy.db")


def test_a_monitor_remembers(tmp_path: Path) -> None:
    """Memory and items of each log apart, whole, over a restart."""
    state = MonitorState(tmp_path / "monitor.db")
    with pytest.raises(MisuseError):
        state.memory("a")
    state.open()
    state.open()
    assert state.memory("a") == Memory()
    memory, item = (
        Memory("note", Frontier(3, (b"x" * 32, b"y" * 32)), 2, 1.5),
        Item(2, "p", "s", ("H-1",), shredded=True),
    )
    state.keep("a", memory, {"X-1": item})
    state.keep("b", Memory(), {})
    state.close()
    state.close()
    state.open()
    assert (state.memory("a"), state.item("a", "X-1"), state.item("b", "X-1")) == (memory, item, None)
    assert (state.items("a"), state.items("b")) == ({"X-1": item}, {})
    state.close()
