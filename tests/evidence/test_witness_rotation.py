"""Witnesses when the log's key is rotated: ours follow what the old key signed, and refuse the old key from then on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.crypto.notes import parse_note, parse_vkey, sign_note
from gateway.errors import IntegrityError
from gateway.evidence.log.add_checkpoint import log_id, print_submission
from gateway.evidence.log.checkpoint import parse_checkpoint
from gateway.evidence.log.known_keys import KnownKeys, read_chain
from gateway.evidence.log.merkle import consistency_proof
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.rotation import Rotation, carried, carried_in
from gateway.evidence.log.witnessed import halted, read_cosigned
from tests.evidence.log.lab import Lab
from tests.evidence.log.test_rotation import rotated
from tests.evidence.log.witness_lab import LOG_SIGNER
from tests.evidence.test_witnesses import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A log of one entry and its witnesses."""
    return Town(tmp_path)


async def opened(town: Town) -> list[str]:
    """How the seats stand after a start."""
    witnesses = town.witnesses()
    try:
        await witnesses.open(5)
    except IntegrityError:
        return ["stopped"]
    return [seat.state for seat in witnesses.seats]


async def test_ours_follow(town: Town) -> None:
    """Rotated and grown before they were asked again: they answer 403 once, are told why, and go on."""
    assert await opened(town) == ["ok"] * 3
    old, new = rotated(town.lab)
    town.add()
    assert await opened(town) == ["ok"] * 3
    for door in town.doors.values():
        assert door.witness.counts["rotated"] == 1
        kept = door.witness.latest(log_id(new.name))
        assert kept is not None
        assert parse_checkpoint(parse_note(kept.encode()).text).size == 3
        assert not carried_in(kept)
        again = type(door.witness)(
            (door.witness._name, door.witness._signer),
            {old.name: (old,)},
            door.witness._state,
            door.witness._clock,
            door.witness._disk,
        )
        again.open()
        assert again._logs[old.name] == (new,)


async def test_several_rotations_at_once(town: Town) -> None:
    """A witness that was away during two of them follows both."""
    await opened(town)
    rotated(town.lab)
    rotated(town.lab)
    town.add()
    assert await opened(town) == ["ok"] * 3
    assert town.doors["pcc"].witness.counts["rotated"] == 2


async def test_the_quorum_goes_on_while_it_runs(town: Town) -> None:
    """The log's side sees the new key without a restart, and what was cosigned before can still be read."""
    witnesses = town.witnesses()
    await witnesses.open(5)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(witnesses.run())
        before = await witnesses.wait_cosigned(0, 10)
        old, new = rotated(town.lab)
        town.add()
        after = await witnesses.wait_cosigned(2, 10)
        running.cancel()
    assert (before.size, after.size) == (1, 3)
    assert witnesses.health() == "ok"
    kept = read_cosigned(town.log, old)
    assert kept is not None
    assert kept.size == 3
    (town.log / "cosigned").write_text(before.note)
    assert KnownKeys(town.log, new).open(before.note.encode()).size == 1


def submission(town: Town, key: object, size: int, *, told: str = "") -> bytes:
    """An add-checkpoint of the log as it is, its checkpoint signed by somebody."""
    text = parse_note((town.log / "checkpoint").read_bytes()).text
    tiles = TileReader(town.log)
    head = parse_checkpoint(text)
    note = sign_note(text, head.origin, key)  # type: ignore[arg-type]
    return print_submission(size, consistency_proof(size, head.size, tiles.node(head.size)), note + told)


async def test_the_old_key_is_refused_afterwards(town: Town) -> None:
    """Somebody has the old private key: it signs nothing that a witness takes, nor a rotation to a key of theirs."""
    await opened(town)
    signer = town.lab.keystore.log_keys.of(town.key.public)
    assert signer is not None
    rotated(town.lab)
    town.add()
    assert await opened(town) == ["ok"] * 3
    town.add()
    witness = town.doors["cambs"].witness
    assert witness.add(submission(town, signer, 3)).status == 403
    theirs = Rotation(town.key, parse_vkey(str(KnownKeys(town.log, town.key).current)), 3, bytes(32))
    other = type(theirs)(town.key, type(town.key)(town.key.name, LOG_SIGNER.public), 3, bytes(32))
    told = carried([other.sign(signer, LOG_SIGNER)])
    assert witness.add(submission(town, LOG_SIGNER, 3, told=told)).status == 403
    assert witness.counts["rotated"] == 1


async def test_a_rotation_below_what_was_cosigned_is_refused(town: Town) -> None:
    """The old key has signed five entries: it cannot hand over at two."""
    town.add(4)
    await opened(town)
    signer = town.lab.keystore.log_keys.of(town.key.public)
    assert signer is not None
    other = Rotation(town.key, type(town.key)(town.key.name, LOG_SIGNER.public), 2, bytes(32))
    told = carried([other.sign(signer, LOG_SIGNER), "no note at all\n"])
    witness = town.doors["cambs"].witness
    assert witness.add(submission(town, LOG_SIGNER, 5, told=told)).status == 403


async def test_somebody_elses_witness(town: Town) -> None:
    """One that does not know our lines: the overlap serves it, then its operator has to be told."""
    await opened(town)
    for door in town.doors.values():
        door.witness._hear_rotations = lambda *_: None  # type: ignore[method-assign]
    old, new = rotated(town.lab, overlap=True)
    town.add()
    assert await opened(town) == ["ok"] * 3
    town.lab.keystore.log_keys.forget(old.public)
    town.add()
    assert await opened(town) == ["refused"] * 3
    for door in town.doors.values():
        door.witness._logs[old.name] = (old, new)
    assert await opened(town) == ["ok"] * 3


async def test_a_restore_from_before_a_rotation(town: Town, tmp_path: Path) -> None:
    """The log does not know its newer key any more, but the keys directory does: the witness's word stops it."""
    await opened(town)
    saved = Path(shutil.copytree(town.lab.evidence, tmp_path / "evidence"))
    rotated(town.lab)
    town.add()
    assert await opened(town) == ["ok"] * 3
    town.lab.close()
    shutil.rmtree(town.lab.evidence)
    shutil.copytree(saved, town.lab.evidence)
    town.lab = Lab(town.lab.directory)
    assert read_chain(town.log) == []
    witnesses = town.witnesses()
    witnesses.known._kept = town.lab.keystore.log_keys.publics
    with pytest.raises(IntegrityError, match="rolled back"):
        await witnesses.open(5)
    why = halted(town.log)
    assert why is None or "rolled back" in why.problem


async def test_a_damaged_memory_is_named(town: Town) -> None:
    """A witness whose kept rotations are not what was written does not start."""
    await opened(town)
    rotated(town.lab)
    town.add()
    await opened(town)
    witness = town.doors["fire"].witness
    path = witness._rotated(town.key.name)
    for content in (b"{}\n", b"nonsense\n", path.read_bytes().replace(b"size", b"sise")):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match=r"\.keys"):
            witness._recall_rotations(town.key.name)
