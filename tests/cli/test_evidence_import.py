"""`lapel evidence import`: footage of others through the same seal, beside a gateway, through every crash."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.site import Site, noise
from tests.cli.conftest import ROOT, Lapel

FILM = noise(300_000, 9)
SAID = ("--from", "Shop, 4 Market Row", "--means", "USB stick, handed over at the counter")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A shop's recording."""
    path = tmp_path / "Kamera 3 über Eingang.mp4"
    path.write_bytes(FILM)
    return path


def bring(lapel: Lapel, store: Path, *words: object) -> dict:
    """Import, as a program does it."""
    return lapel("evidence", "import", *words, *SAID, "--data", store, "--json").json


def test_footage_is_sealed_with_who_brought_it_and_how(lapel: Lapel, store: Path, film: Path) -> None:
    """Hashed, encrypted, in the log; who and how in the sealed detail, never in clear; everything verifies."""
    body = bring(lapel, store, film)
    (one,), failed = body["imported"], body["failed"]
    assert (failed, one["sha256"], one["size"], one["already"]) == (0, hashlib.sha256(FILM).hexdigest(), 300_000, False)
    shown = lapel("evidence", "show", one["exhibit"], "--data", store, "--json").json
    row = shown["exhibit"]
    assert (row["complete"], row["name"], row["flags"], row["content_type"]) == (
        True,
        film.name,
        ["imported"],
        "video/mp4",
    )
    assert [each["kind"] for each in shown["custody"]] == ["receive", "seal", "view"]
    assert b"Market Row" not in b"".join(
        path.read_bytes() for path in (store / "evidence").rglob("*") if path.is_file()
    )
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0
    assert [path.name for path in (store / "evidence/imports").iterdir()] == ["lock"]


def test_the_same_bytes_are_kept_once(lapel: Lapel, store: Path, film: Path) -> None:
    """The second time it names the exhibit that is there, and that is on record in its chain."""
    first = bring(lapel, store, film)["imported"][0]
    blobs = len(list((store / "evidence/blobs").rglob("*.age")))
    film.rename(other := film.with_name("copy.mp4"))
    again = bring(lapel, store, other)["imported"][0]
    assert (again["already"], again["exhibit"]) == (True, first["exhibit"])
    assert len(list((store / "evidence/blobs").rglob("*.age"))) == blobs
    chain = lapel("evidence", "show", first["exhibit"], "--data", store, "--json").json
    assert [each["kind"] for each in chain["custody"]] == ["receive", "seal", "amend", "view"]
    assert chain["exhibit"]["name"] == "Kamera 3 über Eingang.mp4"
    assert "was sealed before as" in lapel("evidence", "import", other, *SAID, "--data", store).out


def test_our_own_device_and_time(lapel: Lapel, store: Path, film: Path) -> None:
    """A device of the roster: its agency's, its holder then."""
    times = ("--device", "cam-0042", "--started-at", "2026-03-01T10:00:00Z", "--ended-at", "2026-03-01T10:05:00Z")
    one = bring(lapel, store, film, *times)["imported"][0]
    row = lapel("evidence", "show", one["exhibit"], "--data", store, "--json").json["exhibit"]
    assert (row["device"], row["started_at"]) == ("cam-0042", "2026-03-01T10:00:00Z")
    assert row["holder"] or "holder_unknown" in row["flags"]


def test_what_cannot_be_taken_is_named_and_the_rest_goes_on(
    lapel: Lapel, store: Path, film: Path, tmp_path: Path
) -> None:
    """Exit 1; nothing half-written of it."""
    os.mkfifo(tmp_path / "pipe.mp4")
    missing = (tmp_path / "none.mp4", tmp_path, tmp_path / "pipe.mp4")
    done = lapel("evidence", "import", *missing, film, *SAID, "--data", store)
    assert done.code == 1
    for path in missing:
        assert str(path) in done.err
    assert "sha256" in done.out
    assert [path.name for path in (store / "evidence/imports").iterdir()] == ["lock"]


@pytest.mark.parametrize("words", [("--from", "x"), ("--means", "x"), ("--from", " ", "--means", "x")])
def test_who_and_how_must_be_said(lapel: Lapel, store: Path, film: Path, words: tuple[str, ...]) -> None:
    """Usage."""
    assert lapel("evidence", "import", film, *words, "--data", store).code == 2


def test_a_full_disk_takes_nothing(lapel: Lapel, store: Path, film: Path, tmp_path: Path) -> None:
    """The reserve belongs to the log: exit 1 with the reason, no exhibit, no file left."""
    config = tmp_path / "lapel.toml"
    config.write_text(f'[gateway]\ndata = "{store}"\n[store]\nreserve_mb = 900000000\n[log]\norigin = "test"\n')
    config.write_text(
        config.read_text().replace('"test"', f'"{(store / "evidence/log/log.vkey").read_text().split("+")[0]}"')
    )
    done = lapel("evidence", "import", film, *SAID, "-c", config)
    assert (done.code, "disk_reserve" in done.err) == (1, True)
    assert [path.name for path in (store / "evidence/imports").iterdir()] == ["lock"]


DIES = """
import os, sys
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.custody import CustodyLog
count = [0]
def dying(name, inner):
    def call(*args, **kw):
        count[0] += 1
        if count[0] == int(os.environ["DIES_AT"]) and os.environ["DIES"] == "before": os._exit(9)
        done = inner(*args, **kw)
        if count[0] == int(os.environ["DIES_AT"]): os._exit(9)
        return done
    return call
for name in ("create", "write", "datasync", "rename", "sync_directory", "remove_tree"):
    setattr(DiskFiles, name, dying(name, getattr(DiskFiles, name)))
CustodyLog.record_many = dying("record", CustodyLog.record_many)
from gateway.cli import main
main()
"""


def test_a_crash_anywhere_leaves_nothing_or_a_whole_exhibit(lapel: Lapel, store: Path, film: Path) -> None:
    """Killed before one step, after another, through them all: the store verifies, the next import sweeps."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    codes: list[int] = []
    for at, when in zip(range(1, 60, 2), itertools.cycle(("before", "after"))):
        film.write_bytes(FILM + f"{at}{when}".encode())
        digest = hashlib.sha256(film.read_bytes()).hexdigest()
        command = [sys.executable, "-c", DIES, "evidence", "import", str(film), *SAID, "--data", str(store)]
        died = subprocess.run(
            command, env={**environment, "DIES_AT": str(at), "DIES": when}, capture_output=True, check=False
        )
        codes.append(died.returncode)
        rows = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
        assert len([row for row in rows if row["sha256"] == digest]) <= 1
        assert all(row["sealed_at"] for row in rows), "a half exhibit is to be seen"
        if at % 3 == 0:
            assert lapel("evidence", "verify", "--all", "--data", store).code == 0, (at, when)
        if died.returncode == 0:
            break
    assert codes.count(9) >= 8, codes
    bring(lapel, store, film)
    assert [path.name for path in (store / "evidence/imports").iterdir()] == ["lock"]
    rows = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
    assert len(list((store / "evidence/blobs").rglob("*.age"))) == len(rows), "a blob of no exhibit was left"
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0


def test_beside_a_running_gateway(tmp_path: Path, film: Path) -> None:
    """Both write the one log: the gateway's exhibits and the imported ones are all there, and it verifies."""
    with Site(tmp_path / "site") as site:
        site.seal(noise(50_000), "rec-1")
        command = [sys.executable, "-m", "gateway", "evidence", "import", film, *SAID, "--data", site.data, "--json"]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        one = json.loads(done.stdout)["imported"][0]
        site.seal(noise(50_000, 2), "rec-2")
        with site.client(site.token()) as client:
            rows = client.get("/v1/exhibits").json()["exhibits"]
            assert len(rows) == 3
            assert client.get(f"/v1/exhibits/{one['exhibit']}/content").content == FILM
    verified = subprocess.run(
        [sys.executable, "-m", "gateway", "evidence", "verify", "--all", "--data", site.data],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
