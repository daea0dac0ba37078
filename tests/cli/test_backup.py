"""`lapel backup`, `restore`, `keys backup` and `log monitor` as people run them: what they print, how they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.site import Site, noise
from tests.cli.conftest import ROOT, Lapel
from tests.scenarios.gateway_process import until


def vkey(store: Path) -> str:
    """The log's key."""
    return (store / "evidence/log/log.vkey").read_text().strip()


def saved(lapel: Lapel, store: Path, folder: Path) -> tuple[Path, Path]:
    """A backup, and one of the keys."""
    made = lapel("backup", "--data", store, "-o", folder / "backup", "--json")
    assert made.code == 0, made.err
    keys = lapel("keys", "backup", "--data", store, "-o", folder / "keys", "--json")
    assert keys.code == 0, keys.err
    return folder / "backup", Path(keys.json["path"])


def test_there_and_back(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """Backed up, verified under the published key, restored with everything opened, listed, exit 0."""
    root, keys = saved(lapel, store, tmp_path)
    done = lapel("backup", "--verify", "-o", root, "--vkey", vkey(store), "--json")
    assert (done.code, done.json["ok"], done.json["pinned"], done.json["gaps"]) == (0, True, True, [])
    assert "signed by the key in it" in lapel("backup", "--verify", "-o", root).out
    again = lapel("backup", "--data", store, "-o", root)
    assert again.code == 0
    assert "2 blobs of 2 exhibits (0 ended)" in again.out
    target = tmp_path / "restored"
    words = ("restore", root, "-o", target, "--keys-backup", keys, "--keys", store / "keys")
    back = lapel(*words, "--vkey", vkey(store))
    assert back.code == 0, back.err
    assert "log size" in back.out
    assert "complete: everything that the log speaks of is here" in back.out
    assert lapel(*words).code == 2
    listed = lapel("keys", "backup", "--data", target, "--list", "--json").json["backups"]
    assert [each["path"] for each in listed] == [str(keys)]
    shutil.copytree(store / "keys", target / "keys")
    refused = lapel("evidence", "list", "--data", target)
    assert (refused.code, "asks the witnesses" in refused.err) == (2, True)


def test_what_is_missing_is_named(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """A blob gone from the store, a blob gone from the backup, a key that no backup has: by name, exit 3."""
    root, keys = saved(lapel, store, tmp_path)
    blobs = sorted((store / "evidence/blobs").rglob("*.age"))
    blobs[0].unlink()
    done = lapel("backup", "--data", store, "-o", root, "--json")
    assert (done.code, [gap["path"] for gap in done.json["gaps"]]) == (
        3,
        [f"evidence/{blobs[0].relative_to(store / 'evidence')}"],
    )
    fresh = lapel("backup", "--data", store, "-o", tmp_path / "fresh")
    assert (fresh.code, blobs[0].name in fresh.err) == (3, True)
    back = lapel("restore", tmp_path / "fresh", "-o", tmp_path / "r1", "--keys-backup", keys, "--json")
    assert back.code == 3
    assert len(back.json["completeness"]["missing_blobs"]) == 1
    assert not back.json["whole"]
    bare = lapel("restore", tmp_path / "fresh", "-o", tmp_path / "r2")
    assert bare.code == 3
    assert bare.err.count("key identity/") == 2
    assert "key details/000000: missing" in bare.err


def test_a_later_checkpoint_names_the_missing_entries(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """What anybody else saw since: how many of how many, and what to do before the gateway starts."""
    root, keys = saved(lapel, store, tmp_path)
    done = lapel("backup", "--data", store, "-o", tmp_path / "other")
    assert done.code == 0
    later = store / "evidence/log/checkpoint"
    words = ("--keys-backup", keys, "--checkpoint", later)
    back = lapel("restore", root, "-o", tmp_path / "restored", *words)
    assert back.code == 3
    assert "are missing" in back.err
    assert "lapel log recover" in back.err
    told = lapel("restore", root, "-o", tmp_path / "again", *words, "--json").json
    (span,) = told["known"]["missing"]
    assert span == [told["restored"]["size"], told["restored"]["known"]]
    later.write_text("nonsense")
    third = lapel("restore", root, "-o", tmp_path / "third", *words)
    assert (third.code, "not compared" in third.err) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("backup", "--verify", "-o", "{tmp}/none"), 2, "no complete backup"),
        (("backup", "--data", "{store}", "-o", "{store}/backup"), 2, "lies in the store"),
        (("backup", "-o", "{tmp}/x"), 2, "-c FILE or --data DIR"),
        (("backup", "--verify", "-o", "{tmp}/x", "--vkey", "nonsense"), 2, "--vkey"),
        (("keys", "backup", "--data", "{store}"), 2, "give one of"),
        (("keys", "backup", "--data", "{store}", "--destroyed", "K-1"), 2, "no such backup"),
        (("restore", "{tmp}", "-o", "{tmp}/x"), 2, "no complete backup"),
        (("log", "monitor", "-c", "{tmp}/none.toml"), 2, "cannot be read"),
    ],
)
def test_wrong_words(lapel: Lapel, store: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Named, with the right exit code."""
    done = lapel(*(word.format(store=store, tmp=tmp_path) for word in words))
    assert (done.code, said in done.err) == (code, True), done.err


def test_backups_of_keys(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """The newest two stay in a folder; one whose medium is gone is listed as out of reach until it is struck off."""
    made = [lapel("keys", "backup", "--data", store, "-o", tmp_path / "keys", "--json").json for _ in range(3)]
    assert made[2]["removed"] == [made[0]["id"]]
    Path(made[1]["path"]).unlink()
    listed = lapel("keys", "backup", "--data", store, "--list", "--json").json["backups"]
    assert [(each["id"], each["reachable"]) for each in listed] == [(made[1]["id"], False), (made[2]["id"], True)]
    assert lapel("keys", "backup", "--data", store, "--destroyed", made[1]["id"]).code == 0
    assert made[1]["id"] not in lapel("keys", "backup", "--data", store, "--list").out
    broken = Path(made[2]["path"])
    broken.write_bytes(broken.read_bytes()[:-9])
    root, _ = saved(lapel, store, tmp_path)
    assert lapel("restore", root, "-o", tmp_path / "r", "--keys-backup", broken).code == 3


def monitor_file(store: Path, folder: Path, more: str = "", log: str = "") -> Path:
    """A monitor's configuration."""
    file = folder / "monitor.toml"
    said = f'[[log]]\nname = "pcc"\nvkey = ["{vkey(store)}"]\ndirectory = "{store}/evidence/log"\ncatalogue = true\n'
    file.write_text(f"{more}\n{said}{log}")
    return file


def test_a_monitor_once(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """0 while the log only grows; 3 for a rollback, then for as long as its proof lies there; 1 out of reach."""
    hook = f'hook = ["/bin/sh", "-c", "cat >> {tmp_path}/calls; echo >> {tmp_path}/calls"]\nmetrics_file = "m.prom"'
    file = monitor_file(store, tmp_path, hook)
    shutil.copytree(store, tmp_path / "yesterday")
    assert lapel("log", "monitor", "-c", file, "--once").code == 0
    assert lapel("backup", "--data", store, "-o", tmp_path / "b").code == 0
    assert lapel("log", "monitor", "-c", file, "--once").code == 0
    assert "lapel_monitor_pcc_alarms 0.0" in (tmp_path / "m.prom").read_text()
    assert not (tmp_path / "calls").exists()
    store.rename(tmp_path / "today")
    (tmp_path / "yesterday").rename(store)
    assert lapel("log", "monitor", "-c", file, "--once").code == 3
    told = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [(each["kind"], each["alarm"], each["integrity"]) for each in told] == [("rollback", "begins", True)]
    (proof,) = (tmp_path / "monitor/alarms/pcc").iterdir()
    kept = json.loads(proof.read_bytes())
    assert kept["known"].split("\n")[0] == kept["shown"].split("\n")[0]
    store.rename(tmp_path / "yesterday")
    (tmp_path / "today").rename(store)
    assert lapel("log", "monitor", "-c", file, "--once").code == 3
    proof.unlink()
    assert lapel("log", "monitor", "-c", file, "--once").code == 0


def test_a_monitor_over_http(lapel: Lapel, tmp_path: Path) -> None:
    """A running gateway's log, with a token; without one it is out of reach. A new key is followed, and said."""
    (tmp_path / "site").mkdir()
    with Site(tmp_path / "site") as site:
        site.seal(noise(1_000), "20261121T210503Z-0017")
        (tmp_path / "token").write_text(site.token())
        head = f'[[log]]\nname = "pcc"\nvkey = ["{vkey(site.data)}"]\nurl = "{site.url}/v1/log"\n'
        (tmp_path / "with.toml").write_text(f'state = "a"\nmetrics_file = "m"\n{head}token_file = "token"\n')
        (tmp_path / "without.toml").write_text(f'state = "b"\n{head}')
        assert lapel("log", "monitor", "-c", tmp_path / "with.toml", "--once").code == 0
        assert lapel("log", "monitor", "-c", tmp_path / "without.toml", "--once").code == 1
        assert "lapel_monitor_pcc_entries 2.0" in (tmp_path / "m").read_text()
        assert lapel("keys", "rotate", "log", "--reason", "yearly", "--data", site.data).code == 0
        site.seal(noise(1_000, 2), "20261121T210503Z-0018")
        said = (tmp_path / "with.toml").read_text()
        (tmp_path / "fresh.toml").write_text(said.replace('state = "a"', 'state = "c"'))
        for name in ("with", "with", "fresh"):
            done = lapel("log", "monitor", "-c", tmp_path / f"{name}.toml", "--once")
            assert (done.code, name, "lapel_monitor_pcc_rotations 1.0" in (tmp_path / "m").read_text()) == (
                0,
                name,
                True,
            )


def test_a_monitor_compares_the_catalogue(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """A row that says something else than the log: named."""
    file = monitor_file(store, tmp_path)
    assert lapel("log", "monitor", "-c", file, "--once").code == 0
    command = [
        sys.executable,
        "-c",
        "import sqlite3,sys; l=sqlite3.connect(sys.argv[1]); l.execute(sys.argv[2]); l.commit()",
    ]
    subprocess.run([*command, store / "evidence/evidence.db", "UPDATE exhibit SET sha256='x' WHERE n=2"], check=True)
    done = lapel("log", "monitor", "-c", file, "--once")
    assert done.code == 3
    proofs = [path.read_text() for path in (tmp_path / "monitor/alarms/pcc").iterdir()]
    assert len(proofs) == 2
    assert all("sha256 is not what the log says" in proof for proof in proofs)


@pytest.mark.parametrize(
    ("more", "log", "said"),
    [
        ("stat = 1", "", "did you mean"),
        ("", 'url = "http://x"', "either url or directory"),
        ("", "witness_quorum = 2", "more than there are operators"),
        ("", '[[log.witness]]\nvkey = "x"\noperator = "C"', "log[0].witness"),
        ("", '[[log]]\nname = "pcc"\nvkey = []\nurl = "http://x"', "each once"),
        ("", '[[log]]\nname = "b"\nvkey = []\nurl = "http://x"', "log[1].vkey"),
        ("", '[[log]]\nname = "b"\nvkey = []\nurl = "http://x"\ncatalogue = true', "log[1].catalogue"),
        ("", '[[log]]\nname = "b"\nvkey = ["y"]\nurl = "http://x"', "log[1].vkey"),
    ],
)
def test_a_wrong_monitor_file(lapel: Lapel, store: Path, tmp_path: Path, more: str, log: str, said: str) -> None:
    """Exit 2, the file and the key."""
    done = lapel("log", "monitor", "-c", monitor_file(store, tmp_path, more, log), "--once")
    assert (done.code, said in done.err) == (2, True), done.err


def test_a_monitor_runs_until_it_is_told(store: Path, tmp_path: Path) -> None:
    """A process of its own: it looks, says what it sees, and ends with 0."""
    file = monitor_file(store, tmp_path, 'every_s = 1\nmetrics_file = "m.prom"')
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "log", "monitor", "-c", file], env=environment, cwd=ROOT
    )
    try:
        until((tmp_path / "m.prom").exists, 30, "it looks")
        second = subprocess.run(
            [sys.executable, "-m", "gateway", "log", "monitor", "-c", file, "--once"],
            env=environment,
            cwd=ROOT,
            capture_output=True,
        )
        assert (second.returncode, b"another monitor" in second.stderr) == (2, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
