"""Footage is real: it decodes, is as large as asked, moves, and is the same for the same seed."""

import hashlib
import importlib
from datetime import UTC, datetime

import numpy as np

from firmware_stubs.font import draw
from tests import peers

av = peers.package("av")
video = importlib.import_module("firmware_stubs.video")

STARTED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def test_footage_decodes(tmp_path):
    """H.264 at 720p25 with AAC, at least the size asked for, every frame there."""
    shot = video.Shot("cam-0042", STARTED, seconds=2.0, least_octets=2_000_000, seed=5)
    path = video.film_cached(shot, tmp_path)
    assert path.stat().st_size >= 2_000_000
    with av.open(str(path)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.width, picture.height) == ("h264", 1280, 720)
        assert (float(picture.average_rate), sound.codec_context.name) == (25.0, "aac")
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(picture)]
    assert len(frames) == 50
    assert np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean() > 5


def test_the_label_is_in_the_picture(tmp_path):
    """The camera's name and the clock, white on black."""
    shot = video.Shot("cam-0042", STARTED, seconds=0.2, least_octets=100_000)
    with av.open(str(video.film(shot, tmp_path / "v.mp4"))) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray").astype(int)
    mask = draw("cam-0042 2026-11-21 10:00:00.00Z", 4)
    box = picture[32 : 32 + mask.shape[0], 32 : 32 + mask.shape[1]]
    assert box[mask].mean() > 200
    assert box[~mask].mean() < 50


def test_the_same_seed_is_the_same_file(tmp_path):
    """Byte for byte, and found again in the cache."""
    shot = video.Shot("cam-0001", STARTED, seconds=0.4, least_octets=100_000, seed=9)
    first = video.film(shot, tmp_path / "a.mp4")
    second = video.film_cached(shot, tmp_path / "cache")
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    assert video.film_cached(shot, tmp_path / "cache") == second
