"""One store that sees everything: every act, rotations, a second place, an erasure; verified, restored, verified."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from firmware_stubs.camera import Camera
from firmware_stubs.footage import Footage
from firmware_stubs.mqtt import Broker
from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.media.examination import Tools
from gateway.pipeline import journal as journal_module
from gateway.pipeline.journal import Journal
from gateway.store.keyring import Keyring
from tests import peers
from tests.history.lab import Clocked, row
from tests.media.films import box, film
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until
from tests.site import command

WHY = ("--reason", "yearly")
ROSTER = """v = 1
[[person]]
id = "P-0014"
name = "Officer 14"
agency = "PCC"
role = "CSO"
[[person]]
id = "P-0015"
name = "Officer 15"
agency = "PCC"
role = "CSO"
"""
TERMS = {"purpose": "trial", "recipient": "CPS", "legal_gateway": "s.35 DPA"}


class Store:
    """A gateway with a second place, a camera, and the commands and requests of those who work there."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.data, self.second = folder, folder / "store", folder / "second"
        self.second.mkdir()
        text = configuration(
            self.data,
            port,
            store={"reserve_mb": 0, "copies": 2, "copy_to": [str(self.second)]},
            evidence={"keys": str(folder / "keys"), "reconcile_at": ""},
            retention={"grace_days": 0},
        )
        self.gateway = GatewayProcess(folder, text)
        self.told: list[dict[str, Any]] = []
        self.pin = folder / "pinned.vkey"
        self.camera = Camera(Broker("127.0.0.1", port), "cam-1", self.pin, lambda event: self.told.append(dict(event)))
        self.tokens: dict[str, str] = {}
        self.film = film(Tools(peers.program("ffprobe"), peers.program("ffmpeg")))

    def begin(self) -> None:
        """The gateway's first start; two people's accounts; the camera pins the first key."""
        self.gateway.start().ready()
        roster = self.folder / "roster.toml"
        roster.write_text(ROSTER)
        self.lapel("roster", "import", roster)
        self.tokens = {user: self.gateway.token(user) for user in ("alice", "bob")}
        shutil.copy(self.data / "evidence/log/log.vkey", self.pin)
        self.camera.start()

    def lapel(self, *words: object) -> Any:
        """A command that must not fail; what it printed."""
        return json.loads(command(*words, "-c", self.gateway.config, "--json"))

    def ask(self, who: str, path: str, asked: object = None, method: str = "POST") -> Any:
        """A request that must not fail."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        done = httpx.request(method, f"{self.gateway.address}v1/{path}", json=asked, headers=headers, timeout=30)
        assert done.is_success, f"{path}: {done.status_code} {done.text}"
        return done.json() if "json" in done.headers["content-type"] else done.content

    def record(self, name: str) -> str:
        """The camera hands over a film; its exhibit, once its second copy is verified."""
        file = self.folder / f"{name}.mp4"
        file.write_bytes(self.film + box(b"free", name.encode()))  # no two are the same
        self.camera.offer(Footage.made(file, "cam-1", name, ("2026-11-21T21:00:00Z", "2026-11-21T21:00:10Z")))

        def copied() -> list[str]:
            return [each["exhibit"] for each in self.told if each["event"] == "receipt" and each["recording"] == name]

        until(copied, 60, f"a receipt for {name}")
        exhibit = copied()[0]
        self.until_copied(exhibit)
        return exhibit

    def row(self, exhibit: str) -> dict[str, Any]:
        """An exhibit's row."""
        catalogue = sqlite3.connect(self.data / "evidence/evidence.db")
        catalogue.row_factory = sqlite3.Row
        with contextlib.closing(catalogue):
            return dict(catalogue.execute("SELECT * FROM exhibit WHERE id = ?", (exhibit,)).fetchone() or {})

    def until_copied(self, exhibit: str) -> None:
        """It lies in both places."""
        until(lambda: self.row(exhibit).get("copies") == 2, 60, f"two copies of {exhibit}", 0.1)

    def caught_up(self) -> None:
        """The second place's log is the first's: what a disposal took away there is on record there too."""
        logs = [place / "evidence" / "log" / "checkpoint" for place in (self.data, self.second)]
        until(lambda: len({log.read_bytes() for log in logs}) == 1, 60, "the copy's log", 0.1)

    def disposed(self, *exhibits: str, ground: str = "order", erase: bool = False) -> str:
        """Asked for by Alice, approved by Bob, carried out by the command."""
        asked = {"exhibits": list(exhibits), "ground": ground, "reason": "ordered", "erase_details": erase}
        name = str(self.ask("alice", "disposals", asked)["id"])
        self.ask("bob", f"disposals/{name}/approve", {})
        self.lapel("evidence", "dispose", "run")
        assert self.ask("alice", f"disposals/{name}", method="GET")["state"] == "done"
        return name

    def exported(self, *exhibits: str) -> str:
        """An export over HTTP, fetched."""
        name = str(self.ask("alice", "exports", {"exhibits": list(exhibits), **TERMS})["export"])
        until(lambda: self.ask("alice", f"exports/{name}", method="GET")["state"] == "done", 60, "the export", 0.2)
        assert len(self.ask("bob", f"exports/{name}/content", method="GET")) > 1000
        return name

    def history(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Frames of hours gone by, journalled as the gateway does it; beside it none runs."""
        keystore = KeyStore(self.folder / "keys")
        keystore.load()
        keyring = Keyring(self.data / "journal/keys.db", keystore)
        keyring.open()
        journal = Journal(self.data / "journal", JournalKeys(keyring))
        with monkeypatch.context() as patch:
            patch.setattr(journal_module, "datetime", Clocked)
            Clocked.at = datetime.now(UTC) - timedelta(hours=3)
            for minute in range(0, 100, 10):
                journal.write([row(minute, f"bcn-{number}") for number in range(3)])
                Clocked.at += timedelta(minutes=10)
        journal.close()
        keyring.close()

    def rooted(self) -> bool:
        """Whether every hour that is over has its root."""
        now, journal = datetime.now(UTC).strftime("%Y-%m-%dT%H"), self.data / "journal"
        hours = {path.stem[:13] for path in journal.glob("*.jrn")} - {now}
        return hours <= {path.stem[:13] for path in journal.glob("*.leaves")}

    def verified(self, data: Path | None = None) -> dict[str, Any]:
        """Everything that lies there, the second place too, judged by the first key."""
        words = ["--data", data or self.data, "--keys", self.folder / "keys", "--vkey", self.pin.read_text().strip()]
        words += [] if data else ["--copy", self.second]
        told = json.loads(command("evidence", "verify", "--all", *words, "--json"))
        assert told["ok"], told
        return dict(told["counts"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One, stopped afterwards."""
    with contextlib.ExitStack() as stack:
        made = Store(tmp_path, stack.enter_context(mosquitto(tmp_path)))
        stack.callback(made.gateway.kill)
        stack.callback(made.camera.close)
        yield made


def work(store: Store, exhibit: str, other: str) -> None:
    """Every act of those who work with exhibits."""
    about = f"exhibits/{exhibit}"
    said = {"category": "evidential", "exhibit_ref": "AB/1", "incident": "INC-1", "note": "seen"}
    store.ask("alice", f"{about}/categorise", said)
    store.ask("alice", f"{about}/annotate", {"text": "a shout", "at_s": 1.0})
    store.ask("alice", f"{about}/amend", {"field": "started_at", "now": "2026-11-21T20:59:00Z", "reason": "clock"})
    hold = store.ask("alice", "holds", {"incident": "INC-1", "reason": "inquest"})["hold"]
    store.ask("alice", f"holds/{hold}/release", {"reason": "over"})
    single = store.ask("alice", f"exhibits/{other}/hold", {"reason": "complaint"})["hold"]
    store.ask("alice", f"exhibits/{other}/release", {"hold": single, "reason": "settled"})
    store.ask("alice", f"{about}/review", {"decision": "retain", "reason": "still needed"})
    store.ask("alice", f"{about}/transfer", {**TERMS, "how": "by hand"})
    store.ask("alice", f"{about}/content", method="GET")


def rotated(store: Store, name: str) -> None:
    """Every key that can be."""
    for what in ("log", "kek", "export"):
        store.lapel("keys", "rotate", what, *WHY)
    store.record(name)


def same_when_rebuilt(store: Store) -> None:
    """The catalogue made anew is the one that there was, row by row."""
    told = store.lapel("evidence", "rebuild")
    assert told["differing"] == []


def restored(store: Store, backup: Path, keys: Path, name: str) -> Path:
    """The backup put back beside the store."""
    newest = max(keys.glob("*.keys"), key=lambda path: path.stat().st_mtime_ns)
    target = store.folder / name
    words = [backup, "-o", target, "--keys-backup", newest, "--keys", store.folder / "keys", "--json"]
    told = json.loads(command("restore", *words, "--vkey", store.pin.read_text().strip()))
    assert told["whole"], told
    assert told["verified"]["ok"], told
    return target


def holding(folder: Path, content: bytes) -> list[Path]:
    """Files that have it in clear."""
    return [path for path in folder.rglob("*") if path.is_file() and content in path.read_bytes()]


def begins_again(store: Store, target: Path) -> None:
    """A gateway in the restored store: its catalogue is made, and its history opens."""
    folder = target.with_name("again")
    folder.mkdir()
    again = GatewayProcess(folder, configuration(target, 1, evidence={"keys": str(store.folder / "keys")}))
    again.start().ready()
    assert again.terminate() == 0
    begun = (datetime.now(UTC) - timedelta(hours=4)).isoformat()
    track = ["--from", begun, "--until", datetime.now(UTC).isoformat(), "--device", "bcn-1"]
    words = [*(f"--{name.replace('_', '-')}={said}" for name, said in TERMS.items()), "--json", "-c", again.config]
    proved = json.loads(command("history", "prove", *track, "-o", folder / "track", *words))
    assert proved["frames"] == 10


def test_a_store_that_sees_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It verifies, is the same when rebuilt, reconciles, comes back from its backup, and verifies there."""
    store.begin()
    first, second, third = (store.record(f"rec-{number}") for number in (1, 2, 3))
    backup, keys = store.folder / "backup", store.folder / "key-backup"
    work(store, first, second)
    clip = store.lapel("evidence", "clip", first, "--from", 0, "--to", 1, "--purpose", "trial")["exhibit"]["id"]
    store.until_copied(clip)
    rotated(store, "rec-4")
    exported = store.exported(second, third)
    store.lapel("keys", "backup", "-o", keys)
    store.lapel("backup", "-o", backup)
    assert holding(backup, store.film) == []
    store.disposed(second)
    assert store.ask("alice", f"exports/{exported}", method="GET")["state"] == "removed"
    assert [path.name for path in (store.data / "evidence/exports").iterdir()] == [f"{exported}.json"]
    store.disposed(third, ground="erasure", erase=True)
    rotated(store, "rec-5")
    store.verified()
    store.gateway.terminate()

    store.history(monkeypatch)
    same_when_rebuilt(store)
    store.gateway.start().ready()
    until(store.rooted, 60, "the history is rooted", 0.1)
    begun = (datetime.now(UTC) - timedelta(hours=4)).isoformat()
    track = ["--from", begun, "--until", datetime.now(UTC).isoformat()]
    words = [f"--{name.replace('_', '-')}={said}" for name, said in TERMS.items()]
    store.lapel("history", "prove", *track, "--device", "bcn-1", "-o", store.folder / "track", *words)
    people = ["--reason", "asked", "--by", "P-0014", "--approved-by", "P-0015"]
    published = store.folder / "published"
    published.write_text(command("trust", "print", "-c", store.gateway.config))
    assert json.loads(command("history", "verify", store.folder / "track", "--trust", published, "--json"))["ok"]
    store.lapel("history", "delete", *track, "--device", "bcn-2", *people)
    store.disposed(first, clip)
    assert store.lapel("evidence", "reconcile")["items"] == []
    store.caught_up()
    store.gateway.terminate()
    same_when_rebuilt(store)
    store.verified()

    store.lapel("backup", "-o", backup)
    store.lapel("keys", "backup", "-o", keys)
    target = restored(store, backup, keys, "restored")
    begins_again(store, target)
    assert store.verified(target)["disposed"] == store.verified()["disposed"]
    assert store.camera.violations == []


def test_a_disposal_under_way_while_all_else_goes_on(store: Store) -> None:
    """A second place that is away keeps it open: rebuilt, reconciled, rotated, restored; then it ends, in both."""
    store.begin()
    gone, kept = store.record("rec-1"), store.record("rec-2")
    store.gateway.terminate()
    away = store.second.rename(store.folder / "away")
    blob = store.row(gone)["blob"]
    name = store.lapel("evidence", "dispose", "request", gone, "--ground", "order", "--reason", "ordered")["disposal"]
    store.gateway.start().ready()
    store.ask("bob", f"disposals/{name['id']}/approve", {})
    command("evidence", "dispose", "run", "-c", store.gateway.config, code=1)
    assert store.ask("alice", f"disposals/{name['id']}", method="GET")["state"] == "under_way"
    store.lapel("keys", "rotate", "log", *WHY)
    store.ask("alice", f"exhibits/{kept}/hold", {"reason": "inquest"})
    store.gateway.terminate()
    same_when_rebuilt(store)
    words = ["--data", store.data, "--keys", store.folder / "keys", "--json"]
    assert json.loads(command("evidence", "verify", *words))["counts"]["disposals_under_way"] == 1
    backup, keys = store.folder / "backup", store.folder / "key-backup"
    store.lapel("backup", "-o", backup)
    store.lapel("keys", "backup", "-o", keys)
    restored(store, backup, keys, "restored")
    assert list(away.rglob(f"{blob}.age"))
    away.rename(store.second)
    store.lapel("evidence", "dispose", "run")
    assert list(store.second.rglob(f"{blob}.age")) == []
    store.gateway.start().ready()
    assert store.ask("alice", f"disposals/{name['id']}", method="GET")["state"] == "done"
    size = int((store.data / "evidence/log/checkpoint").read_text().split("\n")[1])
    there = store.second / "evidence/log/checkpoint"
    until(lambda: int(there.read_text().split("\n")[1]) >= size, 60, "the second place is up", 0.1)
    assert store.lapel("evidence", "reconcile")["items"] == []
    store.gateway.terminate()
    store.verified()
