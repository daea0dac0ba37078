"""`lapel evidence`, `log`, `keys`, `quarantine` over a store with something in it, whole and damaged."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests import peers
from tests.api.site import noise
from tests.cli.conftest import Lapel, outside

FILM = noise(200_000)


def exhibit(lapel: Lapel, store: Path) -> dict:
    """The longer of the two exhibits."""
    rows = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
    return max(rows, key=lambda row: row["size"])


def test_list_and_show(lapel: Lapel, store: Path) -> None:
    """A table for a person, a document for a program; looking is on record, in the chain that is shown too."""
    table = lapel("evidence", "list", "--data", store)
    assert (table.code, table.out.endswith("2 of 2 exhibits\n")) == (0, True)
    row = exhibit(lapel, store)
    assert row["sha256"] == hashlib.sha256(FILM).hexdigest()
    assert row["id"] in table.out
    shown = lapel("evidence", "show", row["id"], "--data", store, "--json").json
    assert shown["exhibit"]["sha256"] == row["sha256"]
    assert [each["kind"] for each in shown["custody"]] == ["receive", "seal", "view"]
    assert shown["custody"][-1]["actor"].startswith("cli:")
    assert "sha256" in lapel("evidence", "show", row["id"], "--data", store).out
    assert lapel("log", "verify", "--data", store, "--json").json["ok"] is True


def test_an_exhibit_nobody_knows(lapel: Lapel, store: Path) -> None:
    """Exit 1, and nothing is on record."""
    before = (store / "evidence/log/checkpoint").read_text()
    for words in (("evidence", "show", "X-NO"), ("keys", "identity", "X-NO", "--purpose", "test")):
        done = lapel(*words, "--data", store)
        assert (done.code, done.out, "X-NO" in done.err) == (1, "", True)
    assert (store / "evidence/log/checkpoint").read_text() == before


def test_verifying_an_exhibit_nobody_knows(lapel: Lapel, store: Path) -> None:
    """Exit 1, as there is none; 3 where the catalogue has what the log has not, or the log itself is damaged."""
    done = lapel("evidence", "verify", "X-NO", "--data", store)
    assert (done.code, done.err) == (1, "X-NO: not read: there is no such exhibit\n")
    body = lapel("evidence", "verify", "X-NO", "--data", store, "--json")
    assert (body.code, body.json["ok"], body.json["findings"], body.json["counts"]["exhibits"]) == (1, False, [], 0)
    with closing(sqlite3.connect(store / "evidence/evidence.db")) as catalogue, catalogue:
        catalogue.execute("UPDATE exhibit SET id = 'X-NO' WHERE rowid = (SELECT min(rowid) FROM exhibit)")
    assert lapel("evidence", "verify", "X-NO", "--data", store).code == 3


def test_verify_all(lapel: Lapel, store: Path) -> None:
    """Exit 0, and it says what was counted."""
    for words in ((), ("--all",), (exhibit(lapel, store)["id"],)):
        done = lapel("evidence", "verify", *words, "--data", store)
        assert (done.code, done.err) == (0, ""), done
        assert "verified" in done.out
    body = lapel("evidence", "verify", "--data", store, "--json").json
    assert (body["v"], body["ok"], body["findings"]) == (1, True, [])


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


DAMAGE = [
    ("evidence/blobs", "*.age", 100_000, "blobs/"),
    ("evidence/blobs", "*.age", 3, "blobs/"),
    ("evidence/blobs", "*.age", -1, "blobs/"),
    ("evidence/details", "*.dtl", 120, "details/"),
    ("evidence/log/tile/0", "000.p/*", 5, "tile/0"),
    ("evidence/log/tile/entries", "000.p/*", 40, "tile/entries"),
    ("evidence/log", "checkpoint", -8, "checkpoint"),
]


@pytest.mark.parametrize(("folder", "name", "at", "named"), DAMAGE)
def test_one_bit(lapel: Lapel, store: Path, folder: str, name: str, at: int, named: str) -> None:
    """Exit 3, the place named, no traceback, whichever file it is in."""
    row = exhibit(lapel, store)
    path = max(
        (store / folder).rglob(name) if name == "*.age" else (store / folder).glob(name), key=lambda p: p.stat().st_size
    )
    flip(path, at)
    done = lapel("evidence", "verify", "--all", "--data", store)
    assert done.code == 3, done
    assert named in done.err
    assert "expected" in done.err
    body = lapel("evidence", "verify", "--data", store, "--json")
    assert (body.code, body.json["ok"], bool(body.json["findings"])) == (3, False, True)
    if "blobs" in folder:
        assert lapel("evidence", "verify", row["id"], "--data", store).code == 3
        assert lapel("log", "verify", "--data", store).code == 0
    elif "log" in folder:
        assert lapel("log", "verify", "--data", store).code == 3


def test_one_bit_in_a_process_of_its_own(store: Path) -> None:
    """The exit code is the process's."""
    flip(max((store / "evidence/blobs").rglob("*.age"), key=lambda path: path.stat().st_size), 5_000)
    assert outside("evidence", "verify", "--data", store).code == 3


def test_a_damaged_log_stops_every_command_that_writes(lapel: Lapel, store: Path) -> None:
    """Exit 3 where the log is not what was written: nothing is added to it."""
    checkpoint = store / "evidence/log/checkpoint"
    flip(checkpoint, -8)
    before = checkpoint.read_bytes()
    for words in (("evidence", "list"), ("user", "add", "x", "--role", "auditor")):
        done = lapel(*words, "--data", store)
        assert (done.code, done.out) == (3, ""), (words, done)
    assert checkpoint.read_bytes() == before


def test_a_directory_that_is_no_store(lapel: Lapel, tmp_path: Path) -> None:
    """Said what is missing, for a verifier an integrity failure (a store that is gone); nothing is made there."""
    for words in (("evidence", "list"), ("evidence", "verify"), ("log", "verify"), ("quarantine", "list")):
        done = lapel(*words, "--data", tmp_path)
        assert done.code == 3 if "verify" in words else done.code in (1, 2), (words, done)
        assert done.err.strip()
    assert list(tmp_path.iterdir()) == []


def test_proofs(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """`log proof` and its leaf are checked by stock tools."""
    row = exhibit(lapel, store)
    proof = outside("log", "proof", row["log_index"], "--data", store)
    leaf = outside("log", "proof", row["log_index"], "--leaf", "--data", store)
    (tmp_path / "proof").write_text(proof.out)
    (tmp_path / "leaf").write_text(leaf.out)
    script = Path(__file__).parents[1] / "checkpoint.sh"
    command = [script, store / "evidence/log/log.vkey", tmp_path / "proof", tmp_path / "leaf"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert json.loads(leaf.out)["sha256"] == row["sha256"]
    assert lapel("log", "proof", 9999, "--data", store).code == 2


def test_stock_age_opens_an_exhibit(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """The printed identity and the named blob are all that `age` needs; printing it is a custody entry."""
    peers.program("age")
    row = exhibit(lapel, store)
    done = lapel("keys", "identity", row["id"], "--purpose", "disclosure 12", "--data", store)
    assert (done.code, done.out.startswith("AGE-SECRET-KEY-1")) == (0, True)
    (tmp_path / "identity").write_text(done.out)
    command = ["age", "--decrypt", "-i", tmp_path / "identity", done.err.strip()]
    opened = subprocess.run(command, capture_output=True, check=True)
    assert opened.stdout == FILM
    chain = lapel("evidence", "show", row["id"], "--data", store, "--json").json["custody"]
    assert [each["kind"] for each in chain] == ["receive", "seal", "view", "view"]
    assert lapel("keys", "identity", row["id"], "--purpose", " ", "--data", store).code == 2
    assert lapel("keys", "identity", row["id"], "--data", store).code == 2
    assert lapel("evidence", "verify", "--data", store).code == 0


def test_quarantine(lapel: Lapel, store: Path) -> None:
    """Frames nobody could read, with their raw bytes."""
    from gateway.crypto.keys import KeyStore
    from gateway.domain.events import Frame
    from gateway.domain.ids import DeviceId
    from gateway.domain.time import Stamp
    from gateway.observe import SystemClock
    from gateway.store.quarantine import QuarantineStore

    keys = KeyStore(store / "keys")
    keys.load()
    opened = QuarantineStore(store / "journal" / "quarantine.db", keys.wrap, keys.unwrap)
    frame = Frame("beacons", Stamp(SystemClock().now()), b"\x00rubbish", "t", DeviceId("bcn-14"))
    opened.write([(frame, "not JSON")])
    opened.close()
    body = lapel("quarantine", "list", "--data", store, "--json").json
    assert (body["count"], body["rows"][0]["reason"]) == (1, "not JSON")
    assert bytes.fromhex(body["rows"][0]["raw"]) == b"\x00rubbish"
    assert "1 of 1 rows" in lapel("quarantine", "list", "--data", store).out
