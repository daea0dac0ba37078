"""`lapel keys`, `lapel doctor` on keys, `lapel log recover --key-lost`, and signers by URI, as people run them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.cli import doctor_keys
from gateway.settings import load
from tests.cli.conftest import Lapel

REASON = ("--reason", "yearly")


class Place:
    """A store of our own with a configuration, and the command."""

    def __init__(self, folder: Path, lapel: Lapel) -> None:
        self.folder, self.data, self.lapel = folder, folder / "data", lapel
        self.config = folder / "lapel.toml"
        self.write()

    def write(self, log: str = "", evidence: str = "") -> None:
        """The configuration."""
        text = f'[gateway]\ndata = "data"\n[log]\norigin = "lapel.test/log"\n{log}\n[evidence]\n{evidence}\n'
        self.config.write_text(text)

    def keys(self, *words: object) -> dict[str, str]:
        """`lapel keys …`, then the state of each key."""
        done = self.lapel("keys", *words, "-c", self.config)
        assert done.code == 0, done.err
        listed = self.lapel("keys", "list", "--json", "-c", self.config).json["keys"]
        return {key["id"]: key["state"] for key in listed}

    def doctor(self) -> dict[str, str]:
        """What is said of keys, by what it is about."""
        return {one.about.rsplit("/", 1)[-1]: one.what for one in doctor_keys.look(load(self.config))}


@pytest.fixture
def place(pattern: Path, tmp_path: Path, lapel: Lapel) -> Place:
    """The pattern's store under a configuration."""
    shutil.copytree(pattern, tmp_path / "data")
    origin = (tmp_path / "data/evidence/log/log.vkey").read_text().split("+")[0]
    assert origin == "lapel.test/log"
    return Place(tmp_path, lapel)


def test_rotate_list_retire(place: Place) -> None:
    """Each kind, and what is refused; the store verifies afterwards."""
    place.lapel("trust", "print", "-c", place.config)
    for what in ("log", "kek", "export"):
        place.keys("rotate", what, *REASON)
    states = place.keys("retire", "log", *REASON)
    wanted = {"kek-1": "former", "kek-2": "wraps", "log-2": "signs", "export": "former", "export-2": "signs"}
    assert states == states | wanted
    assert "log" not in states
    for name, code in (("kek-1", 1), ("kek-2", 1), ("log-2", 1), ("export-2", 1), ("nothing", 2)):
        done = place.lapel("keys", "retire", name, *REASON, "-c", place.config)
        assert (done.code, bool(done.err)) == (code, True), name
    place.keys("retire", "export", *REASON)
    assert not (place.data / "keys/export.key").exists()
    done = place.lapel("evidence", "verify", "-c", place.config)
    assert done.code == 0, done.err


def test_a_reason_is_required(place: Place) -> None:
    """Left out or empty: usage, and nothing happens."""
    for words in ((), ("--reason", " ")):
        assert place.lapel("keys", "rotate", "log", *words, "-c", place.config).code == 2
    assert not (place.data / "keys/log-2.key").exists()


def test_json(place: Place) -> None:
    """One document each."""
    done = place.lapel("keys", "rotate", "kek", *REASON, "--json", "-c", place.config).json
    assert (done["v"], done["old"], done["new"]) == (1, "kek-1", "kek-2")
    assert done["rewrapped"]["keys.db"] > 0
    rows = {key["id"]: key for key in place.lapel("keys", "list", "--json", "-c", place.config).json["keys"]}
    assert rows["kek-2"]["mode"] == "0600"
    assert rows["kek-2"]["wraps"]["keys.db"] == done["rewrapped"]["keys.db"]
    assert rows["kek-1"]["wraps"] == {}
    assert rows["log"]["public"].startswith("lapel.test/log+")


@pytest.mark.parametrize(
    ("log", "evidence", "said"),
    [
        ('signer = "pkcs11:token=hsm"', "", "log.signer: pkcs11: is not available in this build"),
        ('signer = "vault:log"', "", "log.signer: vault: is no scheme of a signer (there are file:, pkcs11:)"),
        ('signer = "log.key"', "", "log.signer: 'log.key' has no scheme"),
        ('signer = "file:log.pem"', "", "log.signer: 'log.pem' is not the name of a key file"),
        ("", 'export_signer = "kms:x"', "evidence.export_signer: kms: is no scheme"),
        ("", 'export_signr = "file:export.key"', "did you mean"),
    ],
)
def test_a_signer_that_is_none(place: Place, log: str, evidence: str, said: str) -> None:
    """The configuration's key is named, exit code 2."""
    place.write(log, evidence)
    done = place.lapel("check", "-c", place.config)
    assert (done.code, said in done.err) == (2, True), done.err


def test_signers_elsewhere(place: Place) -> None:
    """Both keys in another directory, under other names: exports and the log go on from there, and rotate there."""
    other = place.folder / "safe"
    other.mkdir(mode=0o700)
    shutil.move(place.data / "keys/log.key", other / "pcc.key")
    place.write(f'signer = "file:{other}/pcc.key"', f'export_signer = "file:{other}/signs.key"')
    states = place.keys("rotate", "log", *REASON)
    assert states == states | {"pcc": "former", "pcc-2": "signs"}
    assert place.keys("rotate", "export", *REASON) | {"signs": "former", "signs-2": "signs"} == place.keys("list")
    assert {path.name for path in other.glob("*.key")} == {"pcc.key", "pcc-2.key", "signs.key", "signs-2.key"}
    done = place.lapel("evidence", "verify", "-c", place.config)
    assert done.code == 0, done.err


def test_doctor(place: Place) -> None:
    """Open files and directories, what was begun and not finished, a log without its key: each by name."""
    keys = place.data / "keys"
    assert "only their owner" in place.doctor()["keys"]
    place.lapel("trust", "print", "-c", place.config)
    place.lapel("keys", "rotate", "log", *REASON, "-c", place.config)
    (keys / "export.key").chmod(0o644)
    (keys / "export-2.crt.next").write_bytes(b"")
    (keys / "log-3.key").write_bytes((keys / "log.key").read_bytes())
    (keys / "log-3.key").chmod(0o600)
    (keys / "log-2.key").unlink()
    keys.chmod(0o770)
    (place.data / "evidence/keys.db").chmod(0o604)
    said = place.doctor()
    assert "mode 0644" in said["export.key"]
    assert "may write" in said["keys"]
    assert "not on record" in said["export-2.crt.next"]
    assert "may read" in said["keys.db"]
    assert "is not here" in said["log.key"]
    done = place.lapel("doctor", "--json", "-c", place.config)
    assert done.code == 1
    assert any(one["about"].endswith("export.key") for one in json.loads(done.out)["findings"])


def test_an_unused_key_is_named(place: Place) -> None:
    """What an interrupted rotation left."""
    from gateway.crypto.key_files import new_pem, write_new

    write_new(place.data / "keys/log-2.key", new_pem())
    assert "did not take place" in place.doctor()["log-2.key"]
    assert place.keys("list")["log-2"] == "never used"


def test_a_lost_key(place: Place) -> None:
    """Nothing can be written; `recover --key-lost` goes on under a new one, and not while the key is there."""
    lost = ("log", "recover", "--key-lost", "--reason", "fire", "-c", place.config)
    done = place.lapel(*lost)
    assert (done.code, "keys rotate log" in done.err) == (2, True)
    (place.data / "keys/log.key").unlink()
    assert place.lapel("keys", "rotate", "log", *REASON, "-c", place.config).code != 0
    done = place.lapel(*lost)
    assert (done.code, "missing: nothing" in done.out) == (0, True), done.err
    assert place.keys("list")["log"] == "signs"
    done = place.lapel("evidence", "verify", "-c", place.config)
    assert done.code == 0, done.err
