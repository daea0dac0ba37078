"""A store is lost, yesterday's backup is put back, and the cameras bring what their receipts prove."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from firmware_stubs.camera import Camera
from firmware_stubs.footage import Footage
from firmware_stubs.mqtt import Broker
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until
from tests.scenarios.witness_process import WitnessProcess

ORIGIN = "pcc.test/log"


class Town:
    """A gateway, a witness and a camera, each a party of its own; keys lie apart from the data."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.data = folder, folder / "store"
        self.witness = WitnessProcess(folder, "cambs")
        log = {"origin": ORIGIN, "operator": "PCC", "witness_quorum": 1}
        text = configuration(self.data, port, log=log, evidence={"keys": str(folder / "keys")})
        text += f'[[log.witness]]\nname = "cambs"\noperator = "CAMBS"\nurl = "{self.witness.url}"\n'
        text += f'vkey = "{self.witness.vkey()}"\n'
        self.gateway = GatewayProcess(folder, text)
        self.told: list[dict[str, Any]] = []
        self.pin = folder / "pinned.vkey"
        self.camera = Camera(
            Broker("127.0.0.1", port), "cam-0042", self.pin, lambda event: self.told.append(dict(event))
        )

    @property
    def vkey(self) -> str:
        """The log's key, as it lies there."""
        return (self.data / "evidence/log/log.vkey").read_text().strip()

    def size(self) -> int:
        """How many entries the log has."""
        return int((self.data / "evidence/log/checkpoint").read_text().split("\n")[1])

    def introduce(self, *vkeys: str) -> None:
        """The witness is told these logs."""
        self.witness.write({vkey.split("+")[0]: [vkey] for vkey in vkeys})

    def record(self, name: str, octets: int = 300_000) -> None:
        """The camera hands over a recording."""
        file = self.folder / f"{name}.mp4"
        file.write_bytes(random.Random(name).randbytes(octets))
        self.camera.offer(Footage.made(file, "cam-0042", name, ("2026-11-21T21:00:00Z", "2026-11-21T21:01:00Z")))

    def receipts(self, name: str) -> list[dict[str, Any]]:
        """What the camera verified for it."""
        return [each for each in self.told if each["event"] == "receipt" and each["recording"] == name]

    def witnessed(self) -> None:
        """The witness has seen all there is."""
        size, path = self.size(), self.data / "evidence/log/cosigned"
        until(lambda: path.exists() and int(path.read_text().split("\n")[1]) >= size, 60, "the witness cosigns")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Whatever was started is gone afterwards."""
    with contextlib.ExitStack() as stack:
        made = Town(tmp_path, stack.enter_context(mosquitto(tmp_path)))
        for process in (made.witness, made.gateway):
            stack.callback(process.kill)
        stack.callback(made.camera.close)
        yield made


def begin(town: Town) -> None:
    """The log is known to the witness, its key to the camera; one recording is sealed."""
    town.gateway.start().ready()
    shutil.copy(town.data / "evidence/log/log.vkey", town.pin)
    town.introduce(town.vkey)
    town.witness.start()
    town.record("rec-1")
    town.camera.start()
    until(lambda: town.receipts("rec-1"), 30, "a receipt for the first")


def backed_up(town: Town) -> tuple[Path, Path]:
    """Beside the running gateway."""
    store, keys = town.folder / "backup", town.folder / "key-backup"
    town.gateway.told("backup", "-o", str(store))
    town.gateway.told("keys", "backup", "-o", str(keys))
    return store, next(keys.glob("*.keys"))


def restored(town: Town, store: Path, keys: Path) -> subprocess.CompletedProcess[bytes]:
    """The data directory is gone; the backup takes its place."""
    shutil.rmtree(town.data)
    return town.gateway.lapel(
        "restore",
        str(store),
        "-o",
        str(town.data),
        "--keys-backup",
        str(keys),
        "--json",
        "--vkey",
        town.pin.read_text().strip(),
    )


def test_from_a_lost_store_to_a_successor_that_has_it_all(town: Town) -> None:
    """Refused, recovered, verified, named; and the camera, asked, brings what its receipt proves."""
    begin(town)
    store, keys = backed_up(town)
    kept = town.size()
    town.record("rec-2")
    until(lambda: town.receipts("rec-2"), 30, "a receipt for the second")
    lost = town.receipts("rec-2")[0]
    town.witnessed()
    size = town.size()
    assert town.gateway.terminate() == 0

    done = restored(town, store, keys)
    assert done.returncode == 3, done.stderr
    proof = json.loads(done.stdout)
    backup_size = proof["restored"]["size"]
    assert backup_size < kept
    assert proof["known"]["missing"] == [[backup_size, size]]
    assert proof["completeness"]["missing_blobs"] == proof["completeness"]["missing_keys"] == proof["gaps"] == []
    assert proof["verified"]["ok"], proof["verified"]
    assert (proof["completeness"]["sealed"], proof["completeness"]["blobs"]) == (1, 1)

    assert town.gateway.lapel("evidence", "list").returncode == 2  # nothing signs before the witness was asked
    town.gateway.start().ready()
    assert httpx.get(f"{town.gateway.address}ready/evidence").status_code == 503
    assert town.gateway.events("evidence_shut")
    assert not town.gateway.events("restored")
    assert town.gateway.terminate() == 0

    begun = json.loads(town.gateway.told("log", "recover", "--reason", "the disk died", "--json"))
    assert (begun["origin"], begun["missing"]) == (f"{ORIGIN}/g2", [[backup_size, size]])
    town.witness.terminate()
    town.introduce(town.pin.read_text().strip(), town.vkey)
    town.witness.start()
    town.gateway.start().ready()
    assert town.gateway.events("restored")
    until(lambda: len(town.receipts("rec-2")) == 2, 60, "the second recording once more")
    again = town.receipts("rec-2")[1]
    assert again["sha256"] == lost["sha256"]
    assert again["exhibit"] != lost["exhibit"]
    assert [each["recording"] for each in town.told if each["event"] == "recalled"] == ["rec-2"]
    assert len(town.receipts("rec-1")) == 1
    assert town.camera.violations == []
    town.witnessed()
    assert town.gateway.terminate() == 0

    leaf = json.loads(town.gateway.told("log", "proof", str(again["log_index"]), "--leaf"))
    assert leaf["formerly"]["origin"] == ORIGIN
    assert (leaf["formerly"]["exhibit"], leaf["formerly"]["index"]) == (lost["exhibit"], lost["log_index"])
    told = json.loads(town.gateway.told("evidence", "verify", "--json"))
    assert told["ok"]
    assert (told["counts"]["sealed"], told["counts"]["blobs"], told["counts"]["proved_by_receipts"]) == (2, 2, 1)
    assert not (town.data / "restored.json").exists()

    # The next backup into the same directory is of the successor, what it succeeded included.
    town.gateway.told("backup", "-o", str(store))
    town.gateway.told("keys", "backup", "-o", str(keys.parent))
    newest = max(keys.parent.glob("*.keys"), key=lambda path: path.stat().st_mtime_ns)
    shutil.rmtree(town.data)
    back = town.gateway.lapel("restore", str(store), "-o", str(town.data), "--keys-backup", str(newest), "--json")
    assert back.returncode == 0, back.stderr
    proof = json.loads(back.stdout)
    assert (proof["verified"]["ok"], proof["completeness"]["sealed"], proof["gaps"]) == (True, 2, [])
    assert (town.data / "evidence/former/1/checkpoint").exists()
