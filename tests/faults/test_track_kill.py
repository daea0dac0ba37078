"""A gateway killed in the middle of writing history: what is older than a batch is there, whole, once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.feed.trail import BATCH_S
from gateway.store.tracks import TrackStore

ROOT = Path(__file__).parents[2]
NOW_MS = 4_102_444_800_000
"""Nobody's clock is there yet."""
SLACK_S = 1.0
"""For a machine that is busy with other things."""


@pytest.mark.parametrize("lives_s", [1.4, 2.3])
def test_kill_9_loses_a_batch_at_most(tmp_path, lives_s):
    """Each fix that was taken a batch before the kill is in the track, once, in order; the rest of it is a prefix."""
    command = [sys.executable, "-m", "tests.faults.track_process", str(tmp_path / "tracks")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(lives_s)
        process.kill()
        killed_s = time.monotonic()
        lines = [first, *process.stdout.read().splitlines()]
    taken = [(int(each.split()[0]), float(each.split()[1])) for each in lines if len(each.split()) == 2]
    found = [each.fix_ms for each in TrackStore(tmp_path / "tracks").track("PCC.CSO-1", 0, NOW_MS, 10**6)]
    assert found == [fix_ms for fix_ms, _ in taken][: len(found)]
    lost = taken[len(found) :]
    assert found
    assert all(killed_s - taken_s <= BATCH_S + SLACK_S for _, taken_s in lost)
