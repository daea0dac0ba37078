"""A recording from its first segment to its disposal: afterwards no byte of store, staging or backups opens it.

Backups of the store and of its keys are made while it is uploaded and after its seal; the KEK is changed in between.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from gateway.crypto import sealing
from gateway.crypto.age import Identity
from gateway.crypto.keys import KeyStore
from gateway.errors import GatewayError
from tests import peers
from tests.cli.conftest import Lapel
from tests.evidence.disposal.test_shred import forms, found_in
from tests.evidence.log.lab import Lab
from tests.evidence.vault.lab import fin, offer
from tests.faults.test_every_step_seal import CLIP, PARTS, made


class Store:
    """A data directory, its two backups, and all that was ever a key of the one recording."""

    def __init__(self, folder: Path, lapel: Lapel) -> None:
        self.data, self.backup, self.keys = folder / "store", folder / "backup", folder / "key-backups"
        self.config, self.lapel = folder / "lapel.toml", lapel
        text = f"[gateway]\ndata = {json.dumps(str(self.data))}\n[log]\n"
        self.config.write_text(f'{text}origin = "lapel.test/log"\n[retention]\ngrace_days = 0\n')
        self.exhibit, self.secrets, self.sealed = "", {}, set[bytes]()

    def asked(self, *words: object) -> None:
        """A command that must succeed."""
        done = self.lapel(*words)
        assert done.code == 0, (words, done.err)

    def saved(self) -> None:
        """Both backups, and a look at what is wrapped now."""
        lab = Lab(self.data)
        for name in lab.keyring.names():
            if self.exhibit in name:
                self.secrets[name] = lab.keyring.get(name)
        lab.close()
        link = sqlite3.connect(self.data / "evidence/keys.db")
        self.sealed |= {row[1] for row in link.execute("SELECT name, sealed FROM wrapped") if self.exhibit in row[0]}
        link.close()
        self.asked("backup", "--data", self.data, "-o", self.backup)
        self.asked("keys", "backup", "--data", self.data, "-o", self.keys)

    def places(self) -> list[Path]:
        """Everything that there is, but for the keys that wrap others."""
        return [self.data / "evidence", self.data, self.backup, self.keys]

    def opening(self) -> list[str]:
        """Where a window of the wrapped keys' files opens under any KEK, whatever SQLite thinks of that page."""
        keystore, hits = KeyStore(self.data / "keys"), []
        keystore.load()
        lengths = {len(each) for each in self.sealed}
        for folder in (self.data / "evidence", self.keys):
            for path in [*folder.glob("keys.db*"), *folder.glob("*.keys")]:
                content = path.read_bytes()
                for name in self.secrets:
                    windows = ((at, length) for length in lengths for at in range(len(content) - length + 1))
                    hits += [
                        f"{path.name} {at}: {name}"
                        for at, length in windows
                        if any(_unwraps(keystore, kek, name, content[at : at + length]) for kek in keystore.kek_ids)
                    ]
        return hits


def _unwraps(keystore: KeyStore, kek: str, name: str, window: bytes) -> bool:
    try:
        return bool(sealing.unwrap(keystore._keks[int(kek[4:])], name, window))
    except GatewayError:
        return False


async def uploaded(store: Store, *, whole: bool) -> None:
    """A part of it, or the rest and the seal."""
    lab = Lab(store.data)
    with lab.opened() as log:
        sink = made(lab, log)
        await sink.open()
        await sink.begin(offer(CLIP))
        for part in PARTS[1:] if whole else PARTS[2:]:
            await sink.keep(part)
        if whole:
            await sink.keep(PARTS[0])
            store.exhibit = (await sink.finish(fin(CLIP))).exhibit
        else:
            store.exhibit = next(each["exhibit"] for each in sink.uploads())
        await sink.close()
    lab.close()


def test_nothing_opens_it(tmp_path: Path, lapel: Lapel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its own key nor that of its staging, raw, printed or wrapped under either KEK, nor the stock age."""
    store = Store(tmp_path, lapel)
    asyncio.run(uploaded(store, whole=False))
    store.saved()
    assert {name.split("/")[0] for name in store.secrets} == {"identity", "run"}
    asyncio.run(uploaded(store, whole=True))
    store.saved()
    store.asked("keys", "rotate", "kek", "--reason", "yearly", "--data", store.data)
    store.saved()
    assert len(store.sealed) >= 3
    sought = {
        f"{name} {form}": part
        for name, secret in store.secrets.items()
        for form, part in forms(secret, *store.sealed).items()
    } | {f"wrapped, in base64: {number}": base64.b64encode(part)[:-3] for number, part in enumerate(store.sealed)}
    (sealed,) = (store.data / "evidence/blobs").rglob("*.age")
    blob = tmp_path / "kept.age"
    blob.write_bytes(sealed.read_bytes())
    saved = [path.read_bytes() for path in store.backup.rglob("*") if path.is_file()]
    assert blob.read_bytes() in saved, "a copy that outlives it"
    identity = next(secret for name, secret in store.secrets.items() if name.startswith("identity"))
    assert decrypted(Identity(identity), blob, tmp_path) == CLIP
    assert store.opening(), "the search finds what is there"
    assert found_in(store.keys, sought), "in the backup of the keys too"

    monkeypatch.setenv("LOGNAME", "ann")
    words = ("--ground", "order", "--reason", "court order 7", "-c", store.config, "--json")
    disposal = lapel("evidence", "dispose", "request", store.exhibit, *words).json["disposal"]["id"]
    monkeypatch.setenv("LOGNAME", "bob")
    store.asked("evidence", "dispose", "approve", disposal, "-c", store.config)
    store.asked("evidence", "dispose", "run", "-c", store.config)

    assert store.opening() == []
    for folder in store.places():
        assert found_in(folder, sought) == [], folder
    lab = Lab(store.data)
    left = [secret for name in lab.keyring.names() if (secret := lab.keyring.get(name))]
    lab.close()
    assert all(decrypted(Identity(secret), blob, tmp_path) != CLIP for secret in left if len(secret) == 32)
    store.asked("evidence", "verify", "--all", "--data", store.data)


def decrypted(identity: Identity, blob: Path, folder: Path) -> bytes:
    """What the stock age makes of a blob with an identity."""
    key = folder / "identity.txt"
    key.write_text(identity.printed() + "\n")
    words = [peers.program("age"), "-d", "-i", str(key), str(blob)]
    said = subprocess.run(words, capture_output=True).stdout
    key.unlink()
    return said
