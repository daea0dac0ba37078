"""The judges of the fault tests can say no: a range taken back, an unsynced file, a flipped byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.camera_process import CameraProcess, footage, taken_back
from tests.faults.crash_disk import crash_disk
from tests.faults.sealed_once import camera_content, sealed_once, verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until


def durable(*ranges):
    """A camera's line."""
    return {"event": "durable", "durable": [list(each) for each in ranges]}


def missing(*ranges):
    """A camera's line."""
    return {"event": "missing", "missing": [list(each) for each in ranges]}


@pytest.mark.parametrize(
    ("said", "breaches"),
    [
        ([durable((0, 10)), missing((10, 20))], 0),
        ([missing((0, 10)), durable((0, 10))], 0),
        ([durable((0, 10)), missing((9, 20))], 1),
        ([durable((0, 4), (6, 10)), missing((0, 1), (7, 8))], 2),
        ([durable((0, 4)), durable((0, 4), (6, 10)), durable((0, 10)), missing((5, 6))], 1),
    ],
)
def test_a_range_taken_back_is_seen(said, breaches):
    """Only what was durable before it was asked for counts."""
    assert len(taken_back(said)) == breaches


def written(path: Path, *, synced: bool) -> None:
    """A file with content, synced with its folder or not."""
    with path.open("wb") as file:
        file.write(b"x" * 100_000)
        file.flush()
        if synced:
            os.fdatasync(file.fileno())


def test_a_cut_keeps_what_was_synced_and_nothing_else(tmp_path):
    """The copied disk has the synced bytes; those written before and after that nobody synced are gone."""
    with crash_disk(tmp_path, 64) as disk:
        written(disk.place / "before", synced=False)
        written(disk.place / "synced", synced=True)
        written(disk.place / "after", synced=False)
        disk.copy_flushed()
        disk.use_copy()
        sizes = {path.name: path.stat().st_size for path in disk.place.iterdir() if path.is_file()}
        assert sizes.pop("synced") == 100_000
        assert set(sizes.values()) <= {0}


def test_a_flipped_byte_is_seen(tmp_path):
    """The last judgement of each fault test fails on a store that is not what was written."""
    with mosquitto(tmp_path) as port:
        gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", port, store={"reserve_mb": 0}))
        gateway.start().ready()
        evidence = tmp_path / "data" / "evidence"
        recording = footage(tmp_path / "rec-0.mp4", 300_000, 1)
        camera = CameraProcess(recording, port, evidence / "log" / "log.vkey")
        try:
            camera_content(camera)
            until(lambda: not any((evidence / "staging").iterdir()), 5, "staging is cleared")
        finally:
            camera.close()
            gateway.kill()
        verifies(gateway)
        recording.write_bytes(footage(tmp_path / "other.mp4", 300_000, 2).read_bytes())
        with pytest.raises(AssertionError):
            sealed_once(gateway, recording, tmp_path)
        (blob,) = (evidence / "blobs").glob("*/*/*.age")
        content = bytearray(blob.read_bytes())
        content[150_000] ^= 1
        blob.write_bytes(content)
        with pytest.raises(AssertionError, match="exit 3"):
            verifies(gateway)
