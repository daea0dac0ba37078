"""The queue: what is sealed is examined once, gently, whatever goes wrong, and nothing of it reaches ingest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.domain.evidence import Act, Recorded
from gateway.errors import EvidenceError, IntegrityError, StoreBusyError
from gateway.evidence.fold import fold
from gateway.evidence.leaf import check, compose, fresh_salt
from gateway.evidence.rows import Chain, Entry, Exhibit
from gateway.media import examiner as module
from gateway.media.examination import Tools
from gateway.media.examiner import Examiner, Needs, Pace
from gateway.media.settings import MediaSettings
from tests.media.films import descriptors, pieces

AT = datetime(2026, 11, 21, 21, 8, 2, tzinfo=UTC)
PACE = Pace(pause_s=0.01, patience_s=0.2, again_s=600.0)


class Store:
    """Catalogue, vault, thumbnails and log in memory, as their ports promise."""

    def __init__(self) -> None:
        self.rows: dict[str, Exhibit] = {}
        self.content: dict[str, bytes] = {}
        self.problems: dict[str, Exception] = {}
        self.thumbnails: dict[str, bytes] = {}
        self.acts: list[Act] = []
        self.sealed = self.octets = 0
        self.before_put: Callable[[], None] = lambda: None
        self.refuse: list[Exception] = []

    def seal(self, content: bytes, *, complete: bool = True) -> str:
        """One more sealed exhibit."""
        name, index = f"X-00000000000{len(self.rows)}", len(self.rows)
        self.rows[name] = Exhibit(
            id=name, blob="ab" * 16, size=len(content), complete=complete, sealed_at=AT, log_index=index, n=2
        )
        self.content[name] = content
        self.sealed += 1
        return name

    def unexamined(self, limit: int, before: int | None = None) -> list[Exhibit]:
        """Newest first."""
        rows = [row for row in self.rows.values() if row.playable is None and row.disposed_at is None]
        rows = [row for row in rows if before is None or row.log_index < before]
        return sorted(rows, key=lambda row: -row.log_index)[:limit]

    def count_unexamined(self) -> int:
        """How many."""
        return len(self.unexamined(1000))

    def exhibit(self, exhibit: str) -> Exhibit | None:
        """One."""
        return self.rows.get(exhibit)

    @contextlib.contextmanager
    def opened(self, exhibit: str) -> Iterator[Any]:
        """Its plaintext."""
        if problem := self.problems.pop(exhibit, None):
            raise problem
        content = self.content[exhibit]
        yield SimpleNamespace(size=len(content), read=pieces(content))

    def put(self, exhibit: str, content: bytes) -> str:
        """Keep a picture."""
        self.before_put()
        self.thumbnails[exhibit] = content
        return "cd" * 32

    async def record(self, act: Act) -> Recorded:
        """Fold the act in as the catalogue does."""
        if self.refuse:
            raise self.refuse.pop()
        check(act, AT, "test")
        before = self.rows[str(act.exhibit)]
        composed = compose(act, AT, "test", Chain(before.n, before.prev), fresh_salt())
        self.rows[before.id] = fold(before, Entry(9, composed.leaf, composed.facts, composed.detail))
        self.acts.append(act)
        return Recorded(9, composed.leaf, "proof")


class Clock:
    """The loop's own time."""

    def now(self) -> Any:
        """This moment."""
        return SimpleNamespace(mono_s=asyncio.get_running_loop().time())


@pytest.fixture
def store() -> Store:
    """An empty store."""
    return Store()


def made(store: Store, pace: Pace = PACE, **settings: Any) -> Examiner:
    """An examiner over it."""
    needs = Needs(store, store, store, store, Clock(), lambda: (store.sealed, store.octets))
    return Examiner(MediaSettings(**settings), needs, pace)


@contextlib.asynccontextmanager
async def running(examiner: Examiner) -> AsyncIterator[Examiner]:
    """It runs meanwhile."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(examiner.run())
        yield examiner
        task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_is_sealed_is_examined(store: Store, tools: Tools, film_at_front: bytes) -> None:
    """Facts and thumbnail by one entry of the system, the picture first; what comes later is found too."""
    first = store.seal(film_at_front)
    store.before_put = lambda: store.acts and pytest.fail("an entry before its picture")
    async with running(made(store)) as examiner:
        await until(lambda: store.rows[first].playable)
        store.before_put = lambda: None
        second = store.seal(b"no film", complete=False)
        await until(lambda: store.rows[second].playable)
        await until(lambda: examiner.counters["waiting"] == 0)
    row, (act, other) = store.rows[first], store.acts
    assert (row.playable, row.container, row.codecs) == ("playable", "mp4", ("h264", "aac"))
    assert row.media_created_at == datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
    assert row.thumbnail == "cd" * 32
    assert store.thumbnails[first].startswith(b"\xff\xd8")
    assert (act.kind, act.actor, act.facts) == ("derive", "system", {"what": "media", "thumbnail": "cd" * 32})
    assert act.detail["tool"].startswith("ffprobe version ")
    assert other.facts == {"what": "media"}
    assert (store.rows[second].playable, store.rows[second].media_reason) == ("unplayable", "incomplete")
    counters = examiner.counters
    assert (counters["examined"], counters["thumbnails"], counters["playable"], counters["unplayable"]) == (2, 1, 1, 1)
    assert counters["seconds"] > 0
    assert examiner.condition == "ok"


async def test_newest_first_one_at_a_time_each_once(store: Store, tools: Tools) -> None:
    """A backlog after a restart is caught up; nothing is examined twice, and nothing is left open."""
    names = [store.seal(bytes([number]) * 50) for number in range(5)]
    before = descriptors()
    async with running(made(store)):
        await until(lambda: len(store.acts) == 5)
        await asyncio.sleep(0.1)
    assert [act.exhibit for act in store.acts] == names[::-1]
    assert descriptors() <= before + 2
    async with running(made(store)) as again:
        await until(lambda: again._tools)
        await asyncio.sleep(0.1)
    assert len(store.acts) == 5


async def test_what_is_new_comes_before_what_waits(store: Store, tools: Tools) -> None:
    """A recording that is sealed while others wait is next."""
    waiting = [store.seal(bytes([number]) * 50) for number in range(4)]
    async with running(made(store)):
        await until(lambda: store.acts)
        new = store.seal(b"new")
        await until(lambda: len(store.acts) == 5)
    order = [str(act.exhibit) for act in store.acts]
    assert order.index(new) <= 2
    assert set(order) == {*waiting, new}


async def test_footage_goes_first(store: Store, tools: Tools) -> None:
    """While footage streams in nothing is examined; but not for ever."""
    name = store.seal(b"x" * 50)
    async with running(made(store, Pace(0.01, patience_s=0.5))) as examiner:
        async with asyncio.TaskGroup() as group:

            async def stream() -> None:
                while True:
                    store.octets += 8 << 20
                    await asyncio.sleep(0.003)

            streaming = group.create_task(stream())
            await asyncio.sleep(0.3)
            assert store.rows[name].playable is None
            await until(lambda: store.rows[name].playable)
            streaming.cancel()
        assert examiner.counters["held_back"] > 3


@pytest.mark.parametrize(
    ("problem", "counter"),
    [
        (StoreBusyError("no space"), "failed_busy"),
        (IntegrityError("chunk 7"), "failed_integrity"),
        (EvidenceError("no key"), "failed_unreadable"),
        (OSError(24, "too many open files"), "failed_system"),
    ],
)
async def test_what_cannot_be_read_now_waits(store: Store, tools: Tools, problem: Exception, counter: str) -> None:
    """It is counted with its reason, the others go on, and it is tried again later."""
    odd = store.seal(b"odd" * 50)
    store.problems[odd] = problem
    fine = store.seal(b"fine" * 50)
    async with running(made(store, Pace(0.01, 0.2, again_s=1.0))) as examiner:
        await until(lambda: store.rows[fine].playable)
        await until(lambda: examiner.counters.get(counter))
        assert examiner.counters["waiting"] <= 2
        await until(lambda: store.rows[odd].playable)


async def test_a_log_that_refuses_is_asked_again(store: Store, tools: Tools) -> None:
    """Nothing is on record, and nothing is lost."""
    name = store.seal(b"x" * 50)
    store.refuse.append(StoreBusyError("no space"))
    async with running(made(store, Pace(0.01, 0.2, again_s=0.5))) as examiner:
        await until(lambda: store.rows[name].playable)
    assert examiner.counters["failed_busy"] == 1
    assert examiner.counters["examined"] == 1


async def test_a_defect_ends_nothing(store: Store, tools: Tools) -> None:
    """Whatever is raised, the next turn comes."""
    name = store.seal(b"x" * 50)
    store.problems[name] = ZeroDivisionError("a defect")
    async with running(made(store, Pace(0.01, 0.2, again_s=0.3))) as examiner:
        await until(lambda: examiner.counters.get("failed_defect"))
        await until(lambda: store.rows[name].playable)


async def test_disposed_of_meanwhile(store: Store, tools: Tools, film_at_front: bytes) -> None:
    """What was disposed of while it was examined gets no entry and no picture."""
    name = store.seal(film_at_front)
    examiner = made(store)
    original = examiner._find_out

    async def slow(row: Exhibit) -> Any:
        found = await original(row)
        store.rows[name] = msgspec.structs.replace(store.rows[name], disposed_at=AT)
        return found

    examiner._find_out = slow  # type: ignore[method-assign]
    async with running(examiner):
        await until(lambda: store.rows[name].disposed_at)
        await asyncio.sleep(0.1)
    assert store.acts == []
    assert store.thumbnails == {}


async def test_without_the_commands(store: Store) -> None:
    """Nothing is examined, nothing is on record, and the reason is said; not a fault."""
    name = store.seal(b"x" * 50)
    async with running(made(store, ffprobe="no-such-ffprobe", ffmpeg="/no/such/ffmpeg")) as examiner:
        await until(lambda: examiner.lacks)
        await asyncio.sleep(0.05)
    assert examiner.condition == "off: no-such-ffprobe and /no/such/ffmpeg not found"
    assert store.rows[name].playable is None


async def test_commands_that_come_later(store: Store, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed while the gateway runs, they are found at the next turn."""
    name = store.seal(b"x" * 50)
    there = {"": False}
    real = module.program
    monkeypatch.setattr(module, "program", lambda command: real(command) if there[""] else None)
    async with running(made(store, Pace(0.01, 0.2, again_s=0.1))) as examiner:
        await until(lambda: examiner.lacks)
        there[""] = True
        await until(lambda: store.rows[name].playable)
        assert examiner.condition == "ok"


async def test_a_command_that_is_not_what_it_says(store: Store, stand_in: Callable[[str], str]) -> None:
    """One that does not even tell its version is not trusted with a recording."""
    path = stand_in("echo broken >&2; exit 3")
    store.seal(b"x" * 50)
    async with running(made(store, ffprobe=path, ffmpeg=path)) as examiner:
        await until(lambda: examiner.lacks)
    assert examiner.condition == f"off: {path} does not run: broken"


async def test_a_hostile_file(store: Store, stand_in: Callable[[str], str]) -> None:
    """A prober that hangs on it: on record as not examined with its reason, once; the next one is examined."""
    path = stand_in('case "$*" in *-version*) echo ffprobe version 9;; *) while :; do read x </dev/null; done;; esac')
    name = store.seal(b"x" * 50)
    async with running(made(store, ffprobe=path, ffmpeg=path, seconds=1.0)) as examiner:
        await until(lambda: store.rows[name].playable)
        await asyncio.sleep(0.1)
    assert (store.rows[name].playable, store.rows[name].media_reason) == ("not_examined", "time_limit")
    assert len(store.acts) == 1
    assert examiner.counters["failed_time_limit"] == 1


def test_those_that_are_spared_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of what waits for the next turn never grows beyond its bound."""
    monkeypatch.setattr(module, "SPARED_MAX", 3)
    examiner = made(store)
    for number in range(10):
        examiner._spare(f"X-{number}", OSError("gone"))
    assert list(examiner._spared) == ["X-7", "X-8", "X-9"]
    assert examiner.counters["failed_system"] == 10
