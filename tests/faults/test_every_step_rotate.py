"""Every step of changing a key for a new one: crash, power cut, failed and lost, failed but kept.

Log, key-encryption key, certificates of exports and of time-stamps, and the destruction of the former ones: it took
place or it did not, no secret is lost, the log has one head, the store verifies, and called again it ends.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.crypto.export_keys import export_signer, stamping_certificate
from gateway.crypto.signers import key_files
from gateway.domain.evidence import Act
from gateway.errors import GatewayError
from gateway.evidence.verify.reconcile import reconcile
from gateway.evidence.verify.store import verify_store
from gateway.evidence_half import Records, records
from gateway.observe import SystemClock
from gateway.rekeying import (
    Why,
    holders,
    retire_certificate,
    retire_kek,
    retire_log,
    rotate_certificate,
    rotate_kek,
    rotate_log,
)
from tests.evidence.log.lab import CrashError
from tests.faults.every_step import WAYS, EveryStep, chosen
from tests.faults.figures import noted

ORIGIN = "lapel.test/log"
WHY = Why("cli:test", "yearly")
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECRETS = {f"identity/X-{number:04d}": b"%032d" % number for number in range(20)}
Change = Callable[[Records, Path], object]


def turn_kek(store: Records, data: Path) -> None:
    """A new key-encryption key."""
    with holders(data, store.keystore) as held:
        rotate_kek(store, held, WHY)


def end_kek(store: Records, data: Path) -> None:
    """The former one destroyed."""
    with holders(data, store.keystore) as held:
        retire_kek(store, held, "kek-1", WHY, lambda: time.time() + 61)


CHANGES: dict[str, Change] = {
    "log": lambda store, _data: rotate_log(store, WHY),
    "kek": turn_kek,
    "export": lambda store, _data: rotate_certificate(store, "export", WHY, NOW),
    "tsa": lambda store, _data: rotate_certificate(store, "tsa", WHY, NOW),
}
ENDS: dict[str, Change] = {
    "log": lambda store, _data: retire_log(store, "log", WHY),
    "kek": end_kek,
    "export": lambda store, data: retire_certificate(store, key_files("file:export.key", data / "keys"), "export", WHY),
}


def opened(data: Path):
    """As a command has it."""
    return records(data / "evidence", data / "keys", ORIGIN, SystemClock(), create=True)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with wrapped secrets, an entry, and every key."""
    data = tmp_path_factory.mktemp("filled") / "data"
    with opened(data) as store:
        for name, secret in SECRETS.items():
            store.keyring.put(name, secret)
        store.custody.record_now(Act("browse", "P-1", detail={"listed": 1}))
        export_signer(data / "keys", "x", NOW)
        stamping_certificate(data / "keys", "x", NOW)
    return data


def tried(pattern: Path, data: Path, change: Change, way: str, at: int) -> tuple[EveryStep, bool]:
    """One command of which a step fails; whether it said that it had done it."""
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(pattern, data)
    steps, told = EveryStep(data, way, at), False
    with steps.taken():
        try:
            with opened(data) as store:
                change(store, data)
                told = True
        except (CrashError, GatewayError, OSError):
            assert way
    steps.settle()
    return steps, told


def kinds(data: Path) -> int:
    """How many changes are on record; every secret opens, the log goes on, and all verifies."""
    with opened(data) as store:
        assert {name: store.keyring.get(name) for name in SECRETS} == SECRETS
        store.custody.record_now(Act("browse", "P-1", detail={"listed": 2}))
        at = [b'"key_rotate"' in store.custody.leaf(index) for index in range(store.custody.size)]
    report = verify_store(data / "evidence", data / "keys")
    assert report.ok, report.findings
    assert [item for item in reconcile(data / "evidence", data / "keys").items if item.thing != "key"] == []
    return sum(at)


def every(pattern: Path, data: Path, change: Change, way: str, what: str) -> None:
    """Each step in turn; then the same command once more where it was not told done."""
    counted, told = tried(pattern, data, change, "", -1)
    assert told
    before = kinds(data) - 1
    times = set()
    for at in chosen(len(counted.done), way):
        steps, told = tried(pattern, data, change, way, at)
        where = f"{what} {way} {at}: {steps.done[min(at, len(steps.done) - 1)]}"
        there = kinds(data) - before
        times.add(there)
        assert there in {0, 1}, where
        assert there or not told, f"an acknowledged change is gone: {where}"
        if not there:
            with opened(data) as store:
                change(store, data)
            assert kinds(data) - before == 1, where
    noted("steps of a key", key=what, way=way, tried=len(chosen(len(counted.done), way)), of=len(counted.done))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", CHANGES)
def test_rotated(filled: Path, tmp_path: Path, what: str, way: str) -> None:
    """A new key in the former one's place."""
    every(filled, tmp_path / "data", CHANGES[what], way, f"rotate {what}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ENDS)
def test_retired(filled: Path, tmp_path: Path, what: str, way: str) -> None:
    """The former key destroyed, after it was rotated away: once on record, and gone in the end."""
    shutil.copytree(filled, tmp_path / "pattern")
    with opened(tmp_path / "pattern") as store:
        CHANGES[what](store, tmp_path / "pattern")
    name = {"kek": "kek-1"}.get(what, what)
    secret = (tmp_path / f"pattern/keys/{name}.key").read_bytes()
    left = tmp_path / f"pattern/keys/.{name}.key.4711"  # as a crash while it was made leaves it
    left.write_bytes(secret)
    left.chmod(0o600)
    every(tmp_path / "pattern", tmp_path / "data", ENDS[what], way, f"retire {what}")
    if (tmp_path / f"data/keys/{name}.key").exists():
        with opened(tmp_path / "data") as store:
            ENDS[what](store, tmp_path / "data")
    assert all(path.read_bytes() != secret for path in (tmp_path / "data/keys").iterdir() if path.is_file())
