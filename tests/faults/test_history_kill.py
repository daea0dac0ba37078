"""kill -9 while frames are journalled and rooted: every frame that was called durable is in exactly one root."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from gateway.crypto.journal_keys import JournalKeys
from gateway.evidence.verify.store import verify_store
from gateway.history.files import journal_files, read
from gateway.history.rooting import Rooting
from gateway.history_half import entries_of
from gateway.store.keyring import Keyring
from tests.evidence.log.lab import Lab

KILLS = int(os.environ.get("LAPEL_HISTORY_KILLS", "4"))
ROOT = Path(__file__).parents[2]


def _run_and_kill(directory: Path, first: int, chance: random.Random) -> int:
    """Let it journal for a while, kill it; up to which number frames are durable."""
    command = [sys.executable, "-m", "tests.faults.history_process", str(directory), str(first)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    lines = chance.randrange(1, 14)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    told = [int(each) for each in said if each.strip().isdigit()]
    return max(told, default=first)


def test_every_durable_frame_is_in_one_root(tmp_path: Path) -> None:
    """Whenever it dies: numbers 0, 1, 2 … up to the last durable one are each there, rooted once, and verify."""
    directory, chance, durable = tmp_path / "store", random.Random(7), []
    first = 0
    for _ in range(KILLS):
        last = _run_and_kill(directory, first, chance)
        durable += range(first, last)
        first = last + 1000
    lab = Lab(directory)
    secrets = Keyring(directory / "journal" / "keys.db", lab.keystore)
    secrets.open()
    keys = JournalKeys(secrets)
    with lab.opened() as log:
        logged = lambda: entries_of(log, lab.catalogue, "journal_root")  # noqa: E731
        Rooting(directory / "journal", lambda: None, log.record_now, logged).once("another")
        roots = [leaf for leaf in lab.check() if leaf["kind"] == "journal_root"]
    files = [name for leaf in roots for name, _ in leaf["files"]]
    assert sorted(files) == [path.stem for path in journal_files(directory / "journal")]
    assert len(files) == len(set(files))
    found = [
        int(row[6]) for path in journal_files(directory / "journal") for row in read(path, keys.of_day(path.stem[:10]))
    ]
    assert len(found) == len(set(found))
    assert set(durable) <= set(found)
    assert sum(leaf["frames"] for leaf in roots) == len(found)
    secrets.close()
    lab.close()
    report = verify_store(lab.evidence, directory / "keys")
    assert report.ok, report.findings
