"""Our client against somebody else's witness, and somebody else's client and reader against ours."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from gateway.crypto.cosignatures import parse_witness_vkey
from gateway.errors import IntegrityError, LinkError
from gateway.evidence.log.add_checkpoint import log_id
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.log.witnessed import halted
from gateway.evidence.witness_seat import Seat
from gateway.evidence.witnesses import Quorum, Witnesses
from gateway.observe import SystemClock
from gateway.outlets.witness import WitnessClient
from tests.evidence.log.witness_lab import FORKED, LOG_KEY, ORIGIN, note
from tests.evidence.test_witnesses import Town, running
from tests.interop_aics import python
from tests.scenarios.gateway_process import free_port
from tests.scenarios.witness_process import WitnessProcess

SUBMIT = """
import sys
from aics_tlog import MerkleTree
from aics_witness import WitnessClient, WitnessConflict, WitnessRejected
url, vkey, folder = sys.argv[1:]
tree = MerkleTree([b"leaf %d" % number for number in range(40)])
with WitnessClient(url, vkey) as client:
    for name in sys.stdin.read().split():
        try:
            client.submit(open(f"{folder}/{name}").read(), tree.consistency_proof)
            print("cosigned", name)
        except (WitnessConflict, WitnessRejected) as refused:
            print(type(refused).__name__, name)
"""
READ = """
import sys
from aics_tlog import FileSystemTileReader, parse_checkpoint, parse_note, parse_vkey
from aics_tlog.verified import audit_tiles
from aics_tlog.note import verify_note_signature
note = parse_note(open(sys.argv[1] + "/checkpoint").read())
head = parse_checkpoint(note.text)
print(head.size, audit_tiles(FileSystemTileReader(sys.argv[1]), head.size, head.root))
"""


class TheirWitness:
    """aics-witness in a process of its own."""

    def __init__(self, folder: Path, origin: str, vkey: str) -> None:
        self._run = [python(), "-m", "aics_witness"]
        self._config = folder / "theirs.json"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        told = self._told("init", "--config", self._config, "--name", "aics.test/w1", "--listen", f"127.0.0.1:{port}")
        self.vkey = told.strip().splitlines()[-1]
        self._told("add-log", "--config", self._config, "--origin", origin, "--vkey", vkey)
        self.process = subprocess.Popen([*self._run, "serve", "--config", str(self._config)], stderr=subprocess.DEVNULL)

    def _told(self, *words: object) -> str:
        done = subprocess.run([*self._run, *map(str, words)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, object]:
        """What it says of its one log."""
        found: dict[str, object] = json.loads(self._told("status", "--config", self._config, "--json"))["logs"][0]
        return found


async def test_their_witness_cosigns_our_log_and_refuses_its_rollback(tmp_path: Path) -> None:
    """Growth is cosigned over their protocol; yesterday's store is refused and proven from their memory."""
    town = Town(tmp_path)
    theirs = TheirWitness(tmp_path, town.key.name, str(town.key))
    client = WitnessClient(theirs.url)
    await client.open()
    try:
        seat = Seat("aics", "aics", parse_witness_vkey(theirs.vkey), client)
        await _up(client, town)
        yesterday = town.saved("yesterday")

        def witnesses() -> Witnesses:
            seat.state, seat.size, seat.done, seat.retry_at_s = "new", None, "", float("-inf")
            return Witnesses(
                town.log, KnownKeys(town.log, town.key), [seat], Quorum("pcc", 1), SystemClock(), lambda: 0.0
            )

        async with running(witnesses()) as found:
            for _ in range(3):
                size = town.add(5)
                assert (await found.wait_cosigned(size - 1, 20)).size == size
        assert theirs.status()["size"] == size
        town.roll_back_to(yesterday)
        with pytest.raises(IntegrityError, match="rolled back"):
            await witnesses().open(10)
        why = halted(town.log)
        assert why is not None
        assert why.checkpoint.split("\n")[1] == str(size)
    finally:
        await client.close()
        theirs.process.terminate()
        theirs.process.wait(20)


async def _up(client: WitnessClient, town: Town) -> None:
    for _ in range(200):
        try:
            await client.latest(log_id(town.key.name))
        except LinkError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("their witness does not answer")


def test_their_client_and_our_witness(tmp_path: Path) -> None:
    """They get cosignatures that their verifier accepts; a fork and a rollback they are refused."""
    ours = WitnessProcess(tmp_path, "cambs")
    ours.write({ORIGIN: [str(LOG_KEY)]})
    vkey = ours.vkey()
    ours.start()
    for name, text in {"a": note(5), "b": note(5), "c": note(33), "d": note(33, FORKED), "e": note(12)}.items():
        (tmp_path / name).write_text(text)
    command = [python(), "-c", SUBMIT, ours.url, vkey, str(tmp_path)]
    done = subprocess.run(command, input="a b c d e", capture_output=True, text=True, timeout=60)
    ours.terminate()
    assert done.stdout.split("\n")[:3] == ["cosigned a", "cosigned b", "cosigned c"], done.stderr
    assert "WitnessRejected d" in done.stdout
    assert "WitnessAhead e" in done.stdout
    assert len(list((ours.folder / "witness/refused").rglob("*.json"))) == 2


def test_their_reader_and_our_tiles(tmp_path: Path) -> None:
    """Every tile and bundle of our log, audited by their code."""
    town = Town(tmp_path)
    town.add(300)
    done = subprocess.run([python(), "-c", READ, str(town.log)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("301 ")
