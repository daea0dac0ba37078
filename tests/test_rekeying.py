"""Keys changed for new ones over a whole store: everything is found, everything goes on, and all of it is on record."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.crypto.export_keys import certificates, export_signer, stamping_certificate, stamping_files
from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.crypto.signers import key_files
from gateway.domain.events import Frame
from gateway.domain.evidence import Act
from gateway.domain.time import Instant, Stamp
from gateway.errors import ConfigError, EvidenceError, GatewayError
from gateway.evidence.verify.store import verify_store
from gateway.evidence_half import Records, records
from gateway.observe import SystemClock
from gateway.rekeying import (
    Holder,
    Why,
    changes,
    holders,
    retire_certificate,
    retire_kek,
    retire_log,
    rotate_certificate,
    rotate_kek,
    rotate_log,
)
from gateway.store.keyring import Keyring
from gateway.store.quarantine import QuarantineStore

WHY = Why("cli:test", "yearly")
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
DAYS = ("2026-11-20", "2026-11-21")


class Killed(BaseException):
    """The process ends here."""


class Store:
    """A data directory with something wrapped in each place, closed between one act and the next."""

    def __init__(self, data: Path) -> None:
        self.data, self.evidence, self.keys = data, data / "evidence", data / "keys"

    def opened(self) -> AbstractContextManager[Records]:
        """As a command has it."""
        return records(self.evidence, self.keys, "lapel.test/log", SystemClock(), create=True)

    def fill(self) -> None:
        """Secrets in keys.db, two days of journal keys, frames in quarantine."""
        with self.opened() as store:
            for number in range(1200):
                store.keyring.put(f"identity/X-{number:04d}", b"%032d" % number)
            store.custody.record_now(Act("browse", "P-1", detail={"listed": 1}))
            (self.data / "journal").mkdir()
            self.days = self._days(store.keystore, make=True)
            kept = self._quarantine(store.keystore)
            stamp = Stamp(Instant(0.0, NOW))
            kept.write([(Frame("b", stamp, b"raw %d" % number, "c"), "why") for number in range(300)])
            kept.close()

    def _days(self, keystore: KeyStore, *, make: bool = False) -> list[dict[str, bytes]]:
        """Every wrapped key of the journal, opened."""
        kept = Keyring(self.data / "journal" / "keys.db", keystore)
        kept.open()
        for day in DAYS if make else ():
            JournalKeys(kept).make(day, ["cam-1"])
        found = [kept.all(f"journal/{day}/") for day in DAYS]
        kept.close()
        return found

    def _quarantine(self, keystore: KeyStore) -> QuarantineStore:
        return QuarantineStore(self.data / "journal" / "quarantine.db", keystore.wrap, keystore.unwrap)

    def check(self) -> None:
        """Every secret is what it was, with what keys there are now; the store verifies."""
        with self.opened() as store:
            for number in range(0, 1200, 57):
                assert store.keyring.get(f"identity/X-{number:04d}") == b"%032d" % number
            assert self._days(store.keystore) == self.days
            kept = self._quarantine(store.keystore)
            assert {row.payload for row in kept.rows(300)} == {b"raw %d" % number for number in range(300)}
            kept.close()
        report = verify_store(self.evidence, self.keys)
        assert report.ok, report.findings

    def under(self) -> dict[str, dict[str, int]]:
        """What is wrapped under which KEK, by where."""
        with self.opened() as store, holders(self.data, store.keystore) as held:
            return {each.name: each.under() for each in held}

    def rotate(self, **broken: Callable[[], int]) -> str:
        """Rotate the KEK; the id of the new one. Broken: what to do instead of wrapping anew in a place."""
        with self.opened() as store, holders(self.data, store.keystore) as held:
            mended = [Holder(each.name, each.under, broken.get(each.name.split(".")[0], each.rewrap)) for each in held]
            return rotate_kek(store, mended, WHY).new


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store to copy."""
    store = Store(tmp_path_factory.mktemp("filled") / "data")
    store.fill()
    return store


@pytest.fixture
def store(filled: Store, tmp_path: Path) -> Store:
    """The same store, ours."""
    shutil.copytree(filled.data, tmp_path / "data")
    mine = Store(tmp_path / "data")
    mine.days = filled.days
    return mine


def test_everything_is_wrapped_anew(store: Store) -> None:
    """keys.db, the journal's days and quarantine; on record with how many, and the old KEK can go."""
    assert store.rotate() == "kek-2"
    assert store.under() == {"keys.db": {"kek-2": 1201}, "journal": {"kek-2": 2}, "quarantine": {"kek-2": 300}}
    with store.opened() as opened, holders(store.data, opened.keystore) as held:
        (change,) = changes(opened, "kek")
        assert (change.facts["old"], change.facts["new"]) == ("kek-1", "kek-2")
        detail = opened.custody.detail(change.index)
        assert detail is not None
        assert detail[0]["rewrapped"] == {"keys.db": 1201, "journal": 2, "quarantine": 300}
        assert (detail[0]["actor"], detail[0]["reason"]) == ("cli:test", "yearly")
        with pytest.raises(EvidenceError, match="s old"):
            retire_kek(opened, held, "kek-1", WHY)
        retire_kek(opened, held, "kek-1", WHY, lambda: time.time() + 61)
        assert opened.keystore.kek_ids == ("kek-2",)
        assert changes(opened, "kek")[-1].facts["retired"] == "kek-1"
    assert not (store.keys / "kek-1.key").exists()
    store.check()


@pytest.mark.parametrize("where", ["keys", "journal", "quarantine"])
def test_killed_between_any_two_places(store: Store, where: str) -> None:
    """Called again it goes on with the same KEK, and puts it on record once."""

    def die() -> int:
        raise Killed

    with pytest.raises(Killed):
        store.rotate(**{where: die})
    store.check()
    assert store.rotate() == "kek-2"
    assert {tuple(under) for under in store.under().values()} == {("kek-2",)}
    with store.opened() as opened:
        assert len(changes(opened, "kek")) == 1
    store.check()
    assert store.rotate() == "kek-3"


def test_killed_within_a_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somewhere among 1,200 secrets: what was wrapped anew stays so, the rest follows."""
    whole = KeyStore.wrap
    left = 700

    def dying(self: KeyStore, name: str, secret: bytes) -> tuple[str, bytes]:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return whole(self, name, secret)

    monkeypatch.setattr(KeyStore, "wrap", dying)
    with pytest.raises(Killed):
        store.rotate()
    monkeypatch.undo()
    assert store.under()["keys.db"] == {"kek-1": 701, "kek-2": 500}
    store.check()
    store.rotate()
    assert store.under()["keys.db"] == {"kek-2": 1201}


def test_a_kek_that_still_wraps_is_not_destroyed(store: Store) -> None:
    """By where and how many; nor the newest, nor one that there is not, nor with a copy out of reach."""
    with store.opened() as opened, holders(store.data, opened.keystore) as held:
        with pytest.raises(EvidenceError, match="newest"):
            retire_kek(opened, held, "kek-1", WHY)
        opened.keystore.add_kek()
        with pytest.raises(EvidenceError, match=r"1201 in keys\.db, 2 in journal, 300 in quarantine"):
            retire_kek(opened, held, "kek-1", WHY, lambda: time.time() + 61)
        with pytest.raises(ConfigError, match="no kek-9"):
            retire_kek(opened, held, "kek-9", WHY)
        with (
            pytest.raises(EvidenceError, match="cannot be reached"),
            holders(store.data, opened.keystore, [store.data / "gone"]),
        ):
            pass
    store.check()


def test_a_copy_is_wrapped_anew_too(store: Store, tmp_path: Path) -> None:
    """The wrapped keys at a second place."""
    (tmp_path / "copy").mkdir()
    shutil.copy(store.evidence / "keys.db", tmp_path / "copy/keys.db")
    with store.opened() as opened, holders(store.data, opened.keystore, [tmp_path / "copy"]) as held:
        turned = rotate_kek(opened, held, WHY)
        assert turned.rewrapped[str(tmp_path / "copy/keys.db")] == 1201


def test_a_running_gateway_takes_up_the_new_kek(store: Store) -> None:
    """A process that loaded its keys before: it opens what was wrapped anew, and wraps under the new one."""
    running = KeyStore(store.keys)
    running.load()
    store.rotate()
    with store.opened() as opened:
        kek, sealed = opened.keystore.wrap("n", b"secret")
    assert running.unwrap("n", kek, sealed) == b"secret"
    assert running.wrap("n", b"")[0] == "kek-2"


def test_a_gateway_outlives_its_keys_directory(store: Store) -> None:
    """Taken away after the start, or damaged: what was loaded signs and wraps on."""
    with store.opened() as opened:
        shutil.move(store.keys, store.data / "away")
        store.keys.mkdir()
        assert opened.keystore.wrap("n", b"")[0] == "kek-1"
        opened.custody.record_now(Act("browse", "P-1", detail={}))
        (store.keys / "kek-2.key").write_bytes(b"half")
        kek, sealed = opened.keystore.wrap("n", b"secret")
        assert opened.keystore.unwrap("n", kek, sealed) == b"secret"
        shutil.rmtree(store.keys)
        shutil.move(store.data / "away", store.keys)
    store.check()


def test_a_secret_destroyed_meanwhile_stays_destroyed(store: Store) -> None:
    """Rewrapping never brings back what was shredded."""
    with store.opened() as opened:
        opened.keystore.add_kek()
        opened.keyring.delete("identity/X-0007")
        assert opened.keyring.rewrap() == 1200
        assert opened.keyring.get("identity/X-0007") is None


def test_the_log_key(store: Store) -> None:
    """Rotated, on record, the former one destroyed; the one that signs is not."""
    with store.opened() as opened:
        turned = rotate_log(opened, WHY)
        assert turned.new == opened.custody.vkey != turned.old
        with pytest.raises(EvidenceError, match="log-2 signs"):
            retire_log(opened, "log-2", WHY)
        with pytest.raises(ConfigError, match="log-7"):
            retire_log(opened, "log-7", WHY)
        retire_log(opened, "log", WHY)
        assert [each.facts.get("retired") for each in changes(opened, "log")] == [None, turned.old]
    assert not (store.keys / "log.key").exists()
    store.check()
    with store.opened() as opened:
        assert opened.custody.vkey == turned.new


@pytest.mark.parametrize("what", ["export", "tsa"])
def test_certificates(store: Store, what: str, tmp_path: Path) -> None:
    """The new one signs from then on, the old one vouches for it, by stock openssl; the former key can go."""
    files = key_files("file:export.key", store.keys) if what == "export" else stamping_files(store.keys)
    with store.opened() as opened:
        first, second = (rotate_certificate(opened, what, WHY, NOW) for _ in range(2))
        assert (first.new, first.what) == (second.old, what)
        facts = changes(opened, what)[-1].facts
        old, new = (pem for _, pem in certificates(files)[-2:])
        assert facts["certificate"] == new.decode()
        for name, content in (("old", old), ("new", new), ("sig", base64.b64decode(facts["signed"]))):
            (tmp_path / name).write_bytes(content)
        words = ["-inform", "DER", "-in", "sig", "-content", "new", "-CAfile", "old", "-purpose", "any", "-out", "out"]
        command = ["openssl", "cms", "-verify", "-binary", *words, "-attime", str(int(NOW.timestamp()))]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        with pytest.raises(EvidenceError, match="signs"):
            retire_certificate(opened, files, f"{what}-3", WHY)
        retire_certificate(opened, files, what, WHY)
        assert not (store.keys / f"{what}.key").exists()
        assert len(certificates(files)) == 3
    made = export_signer(store.keys, "x", NOW).pem if what == "export" else stamping_certificate(store.keys, "x", NOW)
    assert made == new


def test_a_certificate_counts_from_its_entry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the entry, or between it and the name: the old one signs, and the same one is gone on with."""
    before = export_signer(store.keys, "x", NOW).pem
    with store.opened() as opened:
        for broken in ("gateway.evidence.custody.CustodyLog.record_now", "gateway.crypto.export_keys.Next.activate"):
            with monkeypatch.context() as patch, pytest.raises(Killed):
                patch.setattr(broken, _die)
                rotate_certificate(opened, "export", WHY, NOW)
            assert export_signer(store.keys, "x", NOW).pem == before
        turned = rotate_certificate(opened, "export", WHY, NOW + timedelta(days=1))
        assert len(changes(opened, "export")) == 1
        assert turned.index == changes(opened, "export")[0].index
    assert export_signer(store.keys, "x", NOW).pem != before
    assert not list(store.keys.glob("*.next"))


def _die(*_words: object) -> None:
    raise Killed


def test_reasons_name_nobody_in_clear(store: Store) -> None:
    """Actor and reason are in the details alone."""
    with store.opened() as opened:
        turned = rotate_log(opened, WHY)
        leaf = json.loads(opened.custody.leaf(turned.index))
        assert "actor" not in leaf
        assert "yearly" not in json.dumps(leaf)


def test_without_the_old_private_key_nothing_is_handed_over(store: Store) -> None:
    """A lost key cannot sign its own successor: said, and no key is made."""
    (store.keys / "log.key").rename(store.keys / "elsewhere")
    KeyStore(store.keys).load(create=True)
    with pytest.raises(GatewayError, match="no private key"), store.opened() as opened:
        rotate_log(opened, WHY)
    assert not list(store.keys.glob("log-*.key"))
