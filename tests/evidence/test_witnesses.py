"""The log's rounds: quorum, slow and dead witnesses, rollback and fork, and that ingest never waits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.crypto.cosignatures import cosigned_at
from gateway.crypto.notes import parse_note, parse_vkey
from gateway.errors import IntegrityError, LinkError
from gateway.evidence import witnesses as rounds
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.log.proof import verify_proof
from gateway.evidence.log.witness import Witness
from gateway.evidence.log.witnessed import halted, read_cosigned
from gateway.evidence.witness_seat import Seat
from gateway.evidence.witnesses import Quorum, Witnesses
from gateway.observe import SystemClock
from gateway.ports import WitnessAnswer
from tests.evidence.log.lab import FaultyDisk, FixedClock, Lab, act
from tests.evidence.log.witness_lab import WITNESS_SIGNER


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds in hundredths of a second."""
    monkeypatch.setattr(rounds, "POLL_S", 0.01)
    monkeypatch.setattr(rounds, "ROUND_S", 0.02)


class Door:
    """A witness behind a door that can be slow, shut, or tell nothing of what it saw."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.slow_s, self.shut, self.mute = 0.0, False, False
        self.asked = 0

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """As the protocol."""
        self.asked += 1
        await asyncio.sleep(self.slow_s)
        if self.shut:
            raise LinkError("nobody there")
        return self.witness.add(body)

    async def latest(self, log_id: str) -> bytes | None:
        """As the protocol."""
        note = None if self.mute else self.witness.latest(log_id)
        return note.encode() if note else None


class Town:
    """A log and witnesses of three operators."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = Lab(folder / "store")
        with self.lab.opened() as log:
            log.record_now(act(0))
            self.key = parse_vkey(log.vkey)
        self.doors = {name: self._door(name) for name in ("pcc", "cambs", "fire")}

    def _door(self, name: str) -> Door:
        found = Witness(
            (f"{name}.test/w", WITNESS_SIGNER), {self.key.name: (self.key,)}, self.folder / name, FixedClock(), Disk()
        )
        found.open()
        return Door(found)

    @property
    def log(self) -> Path:
        """The log's directory."""
        return self.lab.evidence / "log"

    def witnesses(self, least: int = 2) -> Witnesses:
        """The log's side, as if just started."""
        seats = [Seat(name, name, door.witness.key, door) for name, door in self.doors.items()]
        return Witnesses(
            self.log, KnownKeys(self.log, self.key), seats, Quorum("pcc", least), SystemClock(), lambda: 0.0
        )

    def add(self, count: int = 1) -> int:
        """Entries; the log's size."""
        with self.lab.opened() as log:
            log._ask([act(number) for number in range(count)]).result()
            return log.size

    def roll_back_to(self, copy: Path) -> None:
        """Put an older store in this one's place."""
        self.lab.close()
        shutil.rmtree(self.lab.directory)
        shutil.copytree(copy, self.lab.directory)
        self.lab = Lab(self.lab.directory)

    def saved(self, name: str) -> Path:
        """A copy of the store as it is now."""
        return Path(shutil.copytree(self.lab.directory, self.folder / name))


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A log of one entry and its witnesses."""
    return Town(tmp_path)


@contextlib.asynccontextmanager
async def running(found: Witnesses) -> AsyncIterator[Witnesses]:
    """Asked, then running."""
    await found.open(1.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(found.run())
        yield found
        task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, but not for ever."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_quorum_counts_other_operators_only(town: Town) -> None:
    """With the log's own witness and one other a quorum of two is not met; with the third it is."""
    town.doors["fire"].shut = True
    async with running(town.witnesses()) as found:
        with pytest.raises(TimeoutError):
            await found.wait_cosigned(0, 0.2)
        assert found.cosigned is None
        town.doors["fire"].shut = False
        found.seats[2].retry_at_s = 0.0
        cosigned = await found.wait_cosigned(0, 5)
    note = parse_note(cosigned.note.encode())
    for name in ("cambs", "fire"):
        assert cosigned_at(note, town.doors[name].witness.key) > 0
    kept = read_cosigned(town.log, town.key)
    assert kept is not None
    assert kept.size == 1


async def test_growth_is_followed_and_proofs_hold_under_it(town: Town) -> None:
    """Each later entry is covered soon; its proof stands under the cosigned checkpoint."""
    async with running(town.witnesses()) as found:
        for _ in range(4):
            size = await asyncio.to_thread(town.add, 3)
            cosigned = await found.wait_cosigned(size - 1, 5)
            assert cosigned.size == size
        await asyncio.to_thread(town.add, 2)
        with town.lab.opened() as log:
            proof = log.proof_under(3, cosigned.note)
            assert verify_proof(proof, log.leaf(3), town.key) == 3
    assert found.health() == "ok"
    assert found.counts()["cambs_up"] == 1


async def test_a_slow_witness_delays_nobody(town: Town) -> None:
    """With a quorum of one, the quick one carries it while the slow one sleeps."""
    town.doors["fire"].slow_s = 0.6
    async with running(town.witnesses(least=1)) as found:
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            size = await asyncio.to_thread(town.add)
            await found.wait_cosigned(size - 1, 5)
        assert asyncio.get_running_loop().time() - began < 0.6
        before = town.doors["fire"].asked
        assert before <= 2


async def test_busy_witnesses_sign_the_same_checkpoint(town: Town) -> None:
    """Two slow ones of different speed still meet: the target stays until the quorum has it."""
    town.doors["fire"].slow_s, town.doors["cambs"].slow_s = 0.05, 0.12
    async with running(town.witnesses()) as found:
        for _ in range(10):
            await asyncio.to_thread(town.add)
            await asyncio.sleep(0.02)
        assert (await found.wait_cosigned(10, 5)).size == 11


async def test_a_dead_witness_is_asked_less_and_less(town: Town) -> None:
    """Back-off: not at every poll; said in state, figures and health."""
    town.doors["fire"].shut = True
    async with running(town.witnesses(least=1)) as found:
        for _ in range(20):
            await asyncio.to_thread(town.add)
        assert town.doors["fire"].asked <= 2
        seat = found.seats[2]
        assert (seat.state, seat.problem) == ("down", "nobody there")
        assert found.counts()["fire_up"] == 0
        assert found.health() == "ok"


async def test_quorum_short_is_said(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Degraded once the newest checkpoints have waited too long, ok again with the quorum."""
    monkeypatch.setattr(rounds, "SHORT_AFTER_S", 0.05)
    town.doors["fire"].shut = True
    async with running(town.witnesses()) as found:
        await until(lambda: found.health() == "degraded")
        town.doors["fire"].shut = False
        found.seats[2].retry_at_s = 0.0
        await found.wait_cosigned(0, 5)
        await until(lambda: found.health() == "ok")


async def test_a_rolled_back_log_is_halted_at_start(town: Town) -> None:
    """Yesterday's store: refused before anything is signed, for every process, with the proof kept."""
    yesterday = town.saved("yesterday")
    await asyncio.to_thread(town.add, 5)
    async with running(town.witnesses()) as found:
        await found.wait_cosigned(5, 5)
    town.roll_back_to(yesterday)
    with pytest.raises(IntegrityError, match="rolled back"):
        await town.witnesses().open(1.0)
    why = halted(town.log)
    assert why is not None
    assert why.checkpoint.split("\n")[1] == "6"
    with pytest.raises(IntegrityError, match="halted"):
        town.lab.log().open_now()
    for door in town.doors.values():
        door.shut = True
    with pytest.raises(IntegrityError, match="halted"):
        town.lab.log().open_now()


async def test_a_mute_witness_stops_a_start_and_not_a_running_log(town: Town) -> None:
    """A size without a checkpoint is a witness's word: enough not to begin, no proof to halt for good."""
    yesterday = town.saved("yesterday")
    await asyncio.to_thread(town.add, 5)
    async with running(town.witnesses(least=1)) as found:
        await found.wait_cosigned(5, 5)
    town.roll_back_to(yesterday)
    for door in town.doors.values():
        door.mute = True
    with pytest.raises(IntegrityError, match="saw 6 entries"):
        await town.witnesses().open(1.0)
    assert halted(town.log) is None
    for door in town.doors.values():
        door.shut = True
    async with running(town.witnesses(least=1)) as found:
        for door, seat in zip(town.doors.values(), found.seats, strict=True):
            door.shut, seat.retry_at_s = False, 0.0
        await until(lambda: found.seats[1].state == "contradicted")
        assert found.problem is None
        assert found.health() == "degraded"
    assert town.add() == 2


async def test_a_fork_found_while_running_halts_the_log(town: Town) -> None:
    """Witnesses that were down at the start see another history than ours: proven, so nothing is sealed any more."""
    yesterday = town.saved("yesterday")
    await asyncio.to_thread(town.add, 2)
    async with running(town.witnesses()) as found:
        await found.wait_cosigned(2, 5)
    town.roll_back_to(yesterday)
    for door in town.doors.values():
        door.shut = True
    async with running(town.witnesses()) as found:
        with town.lab.opened() as log:
            for number in range(4):
                log.record_now(act(100 + number))
            for door, seat in zip(town.doors.values(), found.seats, strict=True):
                door.shut, seat.retry_at_s = False, 0.0
            await until(lambda: halted(town.log))
            assert "forked" in str(found.problem)
            with pytest.raises(IntegrityError, match="halted"):
                log.record_now(act(9))


async def test_a_store_below_its_own_cosigned_checkpoint_is_halted(town: Town) -> None:
    """Nobody needs to be asked where the checkpoint alone was put back."""
    old = (town.log / "checkpoint").read_bytes()
    await asyncio.to_thread(town.add)
    async with running(town.witnesses()) as found:
        await found.wait_cosigned(1, 5)
    (town.log / "checkpoint").write_bytes(old)
    with pytest.raises(IntegrityError, match="cosigned"):
        await town.witnesses().open(1.0)
    assert halted(town.log) is not None


async def test_crash_points_of_what_is_kept(town: Town) -> None:
    """At each failed operation: either the old cosigned checkpoint or the new one, and the next round keeps one."""
    for at in range(5):
        for crash_keeps in (False, True):
            size = await asyncio.to_thread(town.add)
            found = town.witnesses()
            found._disk = FaultyDisk(at, keep=crash_keeps, crash=False)
            await found.open(1.0)
            kept = read_cosigned(town.log, town.key)
            assert kept is None or kept.size <= size
            assert (found.cosigned.size if found.cosigned else 0) <= (kept.size if kept else 0), "said and not kept"
            found._disk.at = -1  # type: ignore[attr-defined]
            async with running(found) as again:
                assert (await again.wait_cosigned(size - 1, 5)).size == size


async def test_what_is_published(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cosigned checkpoint for as long as the newest has not waited too long, then the newest; never smaller."""
    async with running(town.witnesses()) as found:
        first = await found.wait_cosigned(0, 5)
        head = (town.log / "checkpoint").read_text()
        assert found.published(head) == first.note
        for door in town.doors.values():
            door.shut = True
        await asyncio.to_thread(town.add)
        await until(lambda: found._target.size == 2)  # type: ignore[union-attr]
        newest = (town.log / "checkpoint").read_text()
        assert found.published(newest) == first.note
        monkeypatch.setattr(rounds, "SERVE_PATIENCE_S", 0.0)
        assert found.published(newest) == newest
        monkeypatch.setattr(rounds, "SERVE_PATIENCE_S", 10.0)
        assert found.published(newest) == newest


async def test_without_a_quorum_nothing_waits(town: Town) -> None:
    """Quorum 0: the newest checkpoint, with what it has."""
    for door in town.doors.values():
        door.shut = True
    async with running(town.witnesses(least=0)) as found:
        cosigned = await found.wait_cosigned(0, 1)
        assert cosigned.note == (town.log / "checkpoint").read_text()
    assert base64.b64decode(cosigned.note.split("\n")[2]) == cosigned.head.root


async def test_a_witness_that_forgot_counts_no_more(town: Town) -> None:
    """Its state is gone and it would cosign anything: refused, loudly, for as long as this process remembers."""
    async with running(town.witnesses(least=1)) as found:
        await found.wait_cosigned(0, 5)
        for name, door in town.doors.items():
            shutil.rmtree(town.folder / name)
            town.doors[name] = found.seats[list(town.doors).index(name)].door = town._door(name)
            del door
        await asyncio.to_thread(town.add)
        await until(lambda: {seat.state for seat in found.seats} == {"refused"})
        assert all("forgot" in seat.problem for seat in found.seats)
        assert found.health() == "degraded"
        with pytest.raises(TimeoutError):
            await found.wait_cosigned(1, 0.1)


async def test_a_lying_answer_is_refused(town: Town) -> None:
    """Another's signature, rubbish, or a size that is none: refused, and the log goes on."""
    for body, status in ((b"nothing\n", 200), (b"12x\n", 409), (b"", 404), (b"no\n", 403), (b"", 302), (b"", 503)):
        found = town.witnesses(least=1)

        async def say(_asked: bytes, body: bytes = body, status: int = status) -> WitnessAnswer:
            return WitnessAnswer(status, body)

        for door in town.doors.values():
            door.add_checkpoint = say  # type: ignore[method-assign]
        await found.open(1.0)
        assert found.cosigned is None
        assert {seat.state for seat in found.seats} == {"down" if status == 503 else "refused"}
