"""A monitor's look at a log that a writer made, and at everything that could be wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.crypto.cosignatures import WitnessKey, cosign, with_cosignatures
from gateway.crypto.keys import signing_key
from gateway.evidence.log.disk import Disk
from gateway.evidence.monitor.items import Item
from gateway.evidence.monitor.look import Look, Memory, Seen, Witnesses
from gateway.evidence.monitor.proofs import Proofs
from gateway.evidence.verify.cosignatures import parse_witness
from gateway.evidence.verify.notes import parse_vkey
from gateway.outlets.log_tiles import DirectoryLog
from tests.evidence.log.lab import Lab, act


class Nothing:
    """No items yet."""

    def item(self, exhibit: str) -> Item | None:
        """None."""
        del exhibit
        return None


class Kept:
    """The items of earlier looks."""

    def __init__(self, items: dict[str, Item]) -> None:
        self.item: Callable[[str], Item | None] = items.get


def lab(folder: Path, entries: int) -> Lab:
    """A log of so many entries on seven exhibits."""
    made = Lab(folder)
    grow(made, entries)
    return made


def grow(made: Lab, entries: int) -> None:
    """So many more."""
    with made.opened() as log:
        for start in range(0, entries, 200):
            log._ask([act(number, f"X-{number % 7}") for number in range(start, min(entries, start + 200))]).result()


async def look(made: Lab, memory: Memory | None = None, items: dict[str, Item] | None = None, **more: object) -> Seen:
    """One look at it."""
    key = parse_vkey((made.evidence / "log/log.vkey").read_bytes(), "vkey")
    source = DirectoryLog(made.evidence / "log")
    witnesses = more.get("witnesses", Witnesses())
    known = (memory or Memory(), Kept(items) if items is not None else Nothing())
    return await Look((key,), witnesses, source, known).run(float(more.get("now_s", 0.0)))  # type: ignore[arg-type]


def kinds(seen: Seen) -> set[str]:
    """Which alarms it raised."""
    return {alarm.kind for alarm in seen.alarms}


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 600 entries, closed."""
    folder = tmp_path_factory.mktemp("pattern") / "store"
    lab(folder, 600).close()
    return folder


@pytest.fixture
def made(pattern: Path, tmp_path: Path) -> Lab:
    """A copy of it, ours to work on."""
    shutil.copytree(pattern, tmp_path / "store")
    return Lab(tmp_path / "store")


async def test_from_nothing_and_on(made: Lab) -> None:
    """All is read once; then only what is new; items are those of the chains."""
    first = await look(made)
    assert (kinds(first), first.entries, first.memory.frontier.size) == (set(), 600, 600)
    assert {name: item.n for name, item in first.items.items()} == {f"X-{k}": len(range(k, 600, 7)) for k in range(7)}
    again = await look(made, first.memory, first.items)
    assert (kinds(again), again.entries, again.items) == (set(), 0, {})
    grow(made, 7)
    more = await look(made, again.memory, first.items)
    assert (kinds(more), more.entries, more.memory.frontier.size) == (set(), 7, 607)


async def test_an_empty_log(tmp_path: Path) -> None:
    """Its checkpoint is remembered."""
    empty = Lab(tmp_path / "store")
    with empty.opened():
        pass
    seen = await look(empty)
    assert (kinds(seen), seen.memory.frontier.size, bool(seen.memory.note)) == (set(), 0, True)
    empty.close()


async def test_a_rollback_and_a_fork(made: Lab, pattern: Path, tmp_path: Path) -> None:
    """Smaller than it was; as long with another root; longer on another history: never accepted."""
    shutil.copytree(pattern, tmp_path / "other")
    other = Lab(tmp_path / "other")
    grow(made, 5)
    known = await look(made)
    seen = await look(other, known.memory, known.items)
    assert kinds(seen) == {"rollback"}
    assert seen.memory == known.memory
    with other.opened() as log:
        log._ask([act(99, "X-1")] * 5).result()
    seen = await look(other, known.memory, known.items)
    assert kinds(seen) == {"fork"}
    grow(other, 300)
    seen = await look(other, known.memory, known.items)
    assert kinds(seen) <= {"inconsistent", "tile_differs"}
    assert kinds(seen)
    assert seen.memory == known.memory
    assert seen.items == {}


@pytest.mark.parametrize(
    "tile", ["tile/entries/001", "tile/0/001", "tile/1/000.p/2", "tile/entries/002.p/88", "tile/0/002.p/88"]
)
@pytest.mark.parametrize("gone", [False, True])
async def test_a_tile_that_is_not_what_was_signed(made: Lab, tile: str, gone: bool) -> None:
    """Damaged or missing, of entries or hashes, low or high: an alarm."""
    path = made.evidence / "log" / tile
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.unlink()
    if not gone:
        path.write_bytes(raw)
    seen = await look(made)
    assert kinds(seen) <= {"tile_differs", "inconsistent"}
    assert kinds(seen)


async def test_a_hash_tile_changed_under_what_is_known(made: Lab) -> None:
    """The part of a partial tile that was there already must be as it was."""
    known = await look(made)
    grow(made, 3)
    path = made.evidence / "log/tile/0/002.p/91"
    raw = bytearray(path.read_bytes())
    raw[5] ^= 1
    path.write_bytes(raw)
    assert kinds(await look(made, known.memory, known.items)) == {"tile_differs"}


async def test_an_unsigned_checkpoint(made: Lab) -> None:
    """Nobody's signature, or none at all, is no checkpoint."""
    path = made.evidence / "log/checkpoint"
    path.write_text(path.read_text().replace("\n600\n", "\n601\n"))
    assert kinds(await look(made)) == {"unsigned"}
    path.unlink()
    assert kinds(await look(made)) == {"unsigned"}


async def test_a_broken_chain_is_said_once(made: Lab) -> None:
    """What the items remember is not what the entry follows: an alarm, and the chain goes on from there."""
    known = await look(made)
    items = {**known.items, "X-1": Item(1, "f" * 64)}
    grow(made, 7)
    seen = await look(made, known.memory, items)
    assert kinds(seen) == {"entry_differs"}
    assert seen.items["X-1"].n == known.items["X-1"].n + 1
    grow(made, 7)
    assert kinds(await look(made, seen.memory, {**items, **seen.items})) == set()


async def test_cosignatures(made: Lab, tmp_path: Path) -> None:
    """Enough operators on the newest checkpoint; with fewer, patience, then an alarm that is none of integrity."""
    signers = {name: signing_key(tmp_path / f"{name}.key", create=True) for name in ("a", "b")}
    keys = tuple(
        (name, parse_witness(str(WitnessKey(f"{name}.test/w", key.public)), name)) for name, key in signers.items()
    )
    note = (made.evidence / "log/checkpoint").read_text()
    text = note.partition("\n\n")[0] + "\n"
    lines = [cosign(text, f"{name}.test/w", key, 1_763_000_000) for name, key in signers.items()]
    (made.evidence / "log/cosigned").write_text(with_cosignatures(note, lines[:1]))
    one, two = Witnesses(keys, 1, 60.0), Witnesses(keys, 2, 60.0)
    assert (await look(made, witnesses=one)).memory.cosigned == 600
    seen = await look(made, witnesses=two, now_s=0.0)
    assert (kinds(seen), seen.memory.behind_since_s) == (set(), 0.0)
    late = await look(made, seen.memory, seen.items, witnesses=two, now_s=61.0)
    assert [(alarm.kind, alarm.integrity) for alarm in late.alarms] == [("quorum", False)]
    (made.evidence / "log/cosigned").write_text(with_cosignatures(note, lines))
    done = await look(made, late.memory, seen.items, witnesses=two, now_s=62.0)
    assert (kinds(done), done.memory.cosigned, done.memory.behind_since_s) == (set(), 600, None)


async def test_proofs_are_kept_once(made: Lab, tmp_path: Path) -> None:
    """Both signed checkpoints, replaced whole; the same again is no other."""
    known = await look(made)
    path = made.evidence / "log/checkpoint"
    path.write_text("nonsense")
    seen = await look(made, known.memory, known.items)
    proofs = Proofs(tmp_path / "state", Disk())
    kept = [proofs.keep("pcc", seen.alarms[0], known.memory, seen.shown, "2026-11-22T09:00:00Z") for _ in range(2)]
    assert (kept, proofs.count("pcc"), proofs.count("other")) == ([True, False], 1, 0)
    (file,) = (tmp_path / "state/alarms/pcc").iterdir()
    assert known.memory.note.split("\n")[2] in file.read_text()
