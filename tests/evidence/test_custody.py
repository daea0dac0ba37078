"""The custody log as its callers see it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from pathlib import Path

import msgspec
import pytest
import rfc8785

from gateway.crypto.notes import parse_vkey
from gateway.domain.evidence import Act
from gateway.errors import MisuseError, StoreBusyError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.proof import verify_proof
from gateway.ports import Custody
from tests.evidence.log.lab import Lab, act


@pytest.fixture
def lab(tmp_path: Path):
    """A store without a log."""
    made = Lab(tmp_path)
    yield made
    made.close()


async def test_an_act_becomes_a_leaf_a_detail_and_a_proof(lab: Lab) -> None:
    """The leaf is canonical and names nobody; the detail is what the HMAC commits to; the proof verifies."""
    log: Custody = lab.log()
    await log.open()
    facts = {"controller": "PCC", "size": 5}
    first = await log.record(Act("receive", "P-0014", "X-1", facts, {"device": "cam-1", "holder": "P-0014"}))
    second = await log.record(Act("view", "P-0015", "X-1", {}, {"purpose": "court"}))
    leaf = json.loads(second.leaf)
    assert rfc8785.dumps(leaf) == second.leaf
    assert set(leaf) == {"v", "kind", "at", "exhibit", "n", "prev", "build", "hmac"}
    assert (leaf["n"], leaf["prev"]) == (2, hashlib.sha256(first.leaf).hexdigest())
    assert (json.loads(first.leaf)["prev"], leaf["at"]) == (None, "2026-11-21T21:08:02Z")
    assert b"P-00" not in first.leaf + second.leaf
    detail, salt = log.detail(1)
    assert detail == {"v": 1, "exhibit": "X-1", "n": 2, "actor": "P-0015", "purpose": "court"}
    assert hmac.new(salt, rfc8785.dumps(detail), "sha256").hexdigest() == leaf["hmac"]
    key = parse_vkey((lab.evidence / "log/log.vkey").read_text().strip())
    assert str(key) == log.vkey
    assert (verify_proof(first.proof, first.leaf, key), verify_proof(second.proof, second.leaf, key)) == (0, 1)
    assert verify_proof(log.proof(0), log.leaf(0), key) == 0
    with pytest.raises(ValueError, match="is not entry"):
        verify_proof(second.proof, second.leaf.replace(b"view", b"play"), key)
    await log.close()
    lab.check()


async def test_an_act_on_no_exhibit_has_no_chain(lab: Lab) -> None:
    """Neither leaf nor detail speaks of an exhibit."""
    log = lab.log()
    await log.open()
    done = await log.record(Act("login_failed", "system", None, {}, {"account": "x"}))
    assert not {"exhibit", "n", "prev"} & set(json.loads(done.leaf))
    assert log.detail(0)[0] == {"v": 1, "actor": "system", "account": "x"}
    await log.close()


async def test_many_at_once_share_batches_and_keep_their_order(lab: Lab) -> None:
    """A thousand callers: indexes without a gap, chains whole, far fewer checkpoints than acts."""
    log = lab.log()
    await log.open()
    acts = [act(number, exhibit=f"X-{number % 7}") for number in range(1000)]
    done = await asyncio.gather(*(log.record(one) for one in acts))
    assert [one.index for one in done] == list(range(1000))
    heads = {one.proof.partition("\n\n")[2] for one in done}
    assert len(heads) < 50
    await log.close()
    assert [leaf["mark"] for leaf in lab.check()] == list(range(1000))


async def test_record_many_is_all_or_nothing(lab: Lab) -> None:
    """One act that cannot be written refuses its whole group, and no other."""
    log = lab.log()
    await log.open()
    with pytest.raises(MisuseError):
        await log.record_many([act(1), Act("view", "P-1", "X-1", {"hmac": "mine"})])
    assert (await log.record_many([])) == []
    done = await log.record_many([act(number) for number in range(300)])
    assert len({one.proof.partition("\n\n")[2] for one in done}) == 1
    assert log.size == 300
    await log.close()
    lab.check()


@pytest.mark.parametrize("name", ["v", "kind", "at", "exhibit", "n", "prev", "build", "hmac", "actor"])
async def test_facts_cannot_say_what_the_log_says(lab: Lab, name: str) -> None:
    """A reserved word among the facts is our own mistake."""
    log = lab.log()
    await log.open()
    with pytest.raises(MisuseError, match=name):
        await log.record(Act("view", "P-1", "X-1", {name: 1}))
    await log.close()


@pytest.mark.parametrize(
    "bad",
    [
        Act("view", "P-1", "X-1", {}, {"actor": "somebody else"}),
        Act("view", "P-1", "X-1", {"x": float("nan")}),
        Act("view", "P-1", "X-1", {"x": 1 << 60}),
        Act("view", "P-1", "X-1", {}, {"x": object()}),
        Act("view", "P-1", "X-1", {"x": "y" * 65_400}),
        Act("view", "P-1", "X-1", {}, {"x": "y" * (1 << 20)}),
    ],
)
async def test_what_cannot_be_written_is_refused_before_it_is_queued(lab: Lab, bad: Act) -> None:
    """MisuseError, and the next act is entry 0."""
    log = lab.log()
    await log.open()
    with pytest.raises(MisuseError):
        await log.record(bad)
    assert (await log.record(act())).index == 0
    await log.close()


async def test_the_largest_leaf_fits(lab: Lab) -> None:
    """Up to 65,535 bytes, and its bundle reads back."""
    log = lab.log()
    await log.open()
    done = await log.record(Act("view", "P-1", "X-1", {"x": "y" * 65_200}))
    assert log.leaf(0) == done.leaf
    await log.close()
    lab.check()


async def test_lifecycle(lab: Lab) -> None:
    """Open and close are idempotent; before and after, a call is a mistake and not a hang."""
    log = lab.log()
    with pytest.raises(MisuseError):
        await log.record(act())
    with pytest.raises(MisuseError):
        _ = log.size
    await log.open()
    await log.open()
    waiting = log._ask([act(1)])
    await log.close()
    await log.close()
    assert waiting.result().pop().index == 0, "what waited was not written before closing"
    with pytest.raises(MisuseError):
        await log.record(act())


class SlowDisk(Disk):
    """Waits at its first write until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.reached = threading.Event(), threading.Event()
        self.go.set()

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        """As Disk, once let go."""
        self.reached.set()
        self.go.wait(20)
        super().write_at(path, offset, content)


async def test_a_caller_who_leaves_early_is_not_recorded_and_harms_nobody(lab: Lab) -> None:
    """Cancelled while it waits: not written. Cancelled while it is written: written."""
    disk = SlowDisk()
    log = lab.log(disk)
    await log.open()
    disk.go.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(log.record(act(1)))
        await asyncio.to_thread(disk.reached.wait, 20)
        gone = group.create_task(log.record(act(2)))
        stays = group.create_task(log.record(act(3)))
        await asyncio.sleep(0.05)
        first.cancel()
        gone.cancel()
        await asyncio.sleep(0)
        disk.go.set()
    assert stays.result().index == 1
    await log.close()
    assert [leaf["mark"] for leaf in lab.check()] == [1, 3]


async def test_the_queue_is_bounded(lab: Lab) -> None:
    """4,096 acts wait, the next is told to come back."""
    disk = SlowDisk()
    log = lab.log(disk)
    await log.open()
    disk.go.clear()
    first = log._ask([act(0)])
    await asyncio.to_thread(disk.reached.wait, 20)
    rest = log._ask([act(1)] * 4096)
    with pytest.raises(StoreBusyError):
        await log.record(act(2))
    disk.go.set()
    await asyncio.wrap_future(first)
    assert len(await asyncio.wrap_future(rest)) == 4096
    await log.close()


async def test_a_command_beside_the_running_gateway(lab: Lab) -> None:
    """asyncio.run around open, record and close works in another process or thread meanwhile."""
    log = lab.log()
    await log.open()
    await log.record(act(0))

    async def command() -> int:
        other = lab.log()
        await other.open()
        index = (await other.record(act(1))).index
        await other.close()
        return index

    assert await asyncio.to_thread(lambda: asyncio.run(command())) == 1
    assert log.size == 1
    assert (await log.record(act(2))).index == 2
    await log.close()
    lab.check()


async def test_the_catalogue_is_made_again_from_log_and_details(lab: Lab) -> None:
    """Lost or behind, it is applied from the entries at the next open, and is the same."""
    log = lab.log()
    await log.open()
    await log.record(Act("seal", "P-1", "X-1", {"size": 7}, {"device": "cam-1", "flags": ["late"]}))
    await asyncio.gather(*(log.record(act(number, exhibit=f"X-{number % 3}")) for number in range(700)))
    log.erase_detail(5)
    await log.close()
    before = lab.catalogue.exhibit("X-1"), lab.catalogue.custody("X-2")
    lab.catalogue.clear()
    log = lab.log()
    await log.open()
    lab.check()
    erased = lab.catalogue.entry(5)
    held = lab.catalogue.exhibit("X-1")
    assert (erased.exhibit, held.holds, held.held) == ("X-1", ("detail-erased",), True)
    assert msgspec.structs.replace(held, holds=(), held=False) == before[0]
    assert erased.actor is None
    assert [row.leaf_sha256 for row in lab.catalogue.custody("X-2")] == [row.leaf_sha256 for row in before[1]]
    assert log.detail(5) is None
    await log.close()


class FullCatalogue:
    """A catalogue whose disk is full while told so."""

    def __init__(self, inner) -> None:
        self.inner, self.full = inner, False

    def __getattr__(self, name: str):
        return getattr(self.inner, name)

    def apply(self, entries) -> None:
        """As the real one, or StoreBusyError."""
        if self.full:
            raise StoreBusyError("full")
        self.inner.apply(entries)


async def test_what_is_published_is_recorded_though_the_catalogue_lags(lab: Lab) -> None:
    """The entry is in the log for good, so it is acknowledged; nothing follows it until it is applied."""
    whole, lab.catalogue = lab.catalogue, FullCatalogue(lab.catalogue)
    log = lab.log()
    await log.open()
    lab.catalogue.full = True
    assert (await log.record(act(0))).index == 0
    assert (lab.evidence / "log/pending").exists()
    with pytest.raises(StoreBusyError):
        await log.record(act(1))
    lab.catalogue.full = False
    assert (await log.record(act(2))).index == 1
    assert not (lab.evidence / "log/pending").exists()
    await log.close()
    lab.catalogue = whole
    assert [leaf["mark"] for leaf in lab.check()] == [0, 2]


async def test_what_a_command_wrote_meanwhile_is_read_at_once(lab: Lab) -> None:
    """The catalogue, which is shared, names its entries before this process writes again: leaf, detail and proof."""
    gateway, command = lab.log(), lab.log()
    await gateway.open()
    await command.open()
    done = await command.record(act(1))
    assert gateway.leaf(done.index) == done.leaf
    again = await command.record(act(2))
    assert gateway.detail(again.index) is not None
    third = await command.record(act(3))
    assert verify_proof(gateway.proof(third.index), third.leaf, parse_vkey(gateway.vkey)) == third.index
    with pytest.raises(ValueError, match="no entry"):
        gateway.leaf(third.index + 1)
    await command.close()
    await gateway.close()
