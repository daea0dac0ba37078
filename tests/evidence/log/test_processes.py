"""Several processes on one log, and processes that are killed: no fork, nothing acknowledged lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.evidence.log.lab import Lab, act

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from pathlib import Path
from tests.evidence.log.lab import Lab, act
lab = Lab(Path(sys.argv[1]))
start, count = int(sys.argv[2]), int(sys.argv[3])
with lab.opened() as log:
    for number in range(start, start + count):
        print(log.record_now(act(number)).index, number, flush=True)
lab.close()
"""


def child(directory: Path, start: int, count: int) -> subprocess.Popen[str]:
    """A process that appends acts one by one and says each that was acknowledged."""
    command = [sys.executable, "-c", WRITER, str(directory), str(start), str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    """Each act has the index it was told, in one chain; a third, open all along, sees the others' entries."""
    lab = Lab(tmp_path)
    with lab.opened() as log:
        log.record_now(act(0))
        writers = [child(tmp_path, start, 60) for start in (1000, 2000)]
        told = [{0: 0}]
        while any(writer.poll() is None for writer in writers):
            told.append({log.record_now(act(log.size + 100_000, exhibit="X-2")).index: -1})
            time.sleep(0.01)
        for writer in writers:
            told.append(dict(tuple(map(int, line.split())) for line in writer.stdout or ()))
            assert writer.returncode == 0
            writer.stdout.close()  # type: ignore[union-attr]
    leaves = lab.check()
    indexes = [index for one in told for index in one]
    assert sorted(indexes) == list(range(len(leaves))), "an index was given twice or never"
    assert all(leaves[index]["mark"] == mark for one in told for index, mark in one.items() if mark > 0)
    lab.close()


@pytest.mark.parametrize("run", range(5))
def test_kill_9_while_writing(tmp_path: Path, run: int) -> None:
    """A killed writer leaves a log that opens and has everything that it was told."""
    writer = child(tmp_path, 0, 100_000)
    assert writer.stdout is not None
    lines = [writer.stdout.readline()]
    time.sleep(random.Random(run).uniform(0.05, 0.6))
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    told = [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]
    lab = Lab(tmp_path)
    with lab.opened() as log:
        leaves = lab.check()
        assert len(told) > 1
        assert [(index, leaves[index]["mark"]) for index, _ in told] == told
        assert len(told) <= len(leaves) <= len(told) + 1
        assert log.record_now(act(5)).index == len(leaves)
    assert json.loads(lab.leaves()[-1])["mark"] == 5
    lab.close()
