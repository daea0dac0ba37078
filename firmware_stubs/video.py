"""Real, playable footage: H.264 and AAC in MP4, a moving picture with the clock and the camera's name burnt in."""

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from firmware_stubs.font import draw
from firmware_stubs.jsonline import say

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

WIDTH, HEIGHT, RATE = 1280, 720, 25
SOUND_RATE, SOUND_FRAME = 48000, 1024
TEXTURES, GRAIN = 8, 28
MEBI = 1024 * 1024

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """What to film: the same shot makes the same picture."""

    device: str
    started_at: datetime
    seconds: float = 8.0
    least_octets: int = int(5.5 * MEBI)
    seed: int = 1

    @property
    def digest(self) -> str:
        """A name for this very shot."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def film(shot: Shot, path: Path) -> Path:
    """Make the file, not smaller than asked for; the second try has more bits if the first came out short."""
    target = shot.least_octets * 1.08
    while True:
        _encode(shot, path, round(target * 8 / shot.seconds))
        size = path.stat().st_size
        if size >= shot.least_octets:
            return path
        target *= 1.1 * shot.least_octets / size


def film_cached(shot: Shot, folder: Path) -> Path:
    """The shot's file in a folder, made when it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{shot.device}-{shot.digest}.mp4"
    if not path.exists():
        film(shot, path.with_suffix(".new.mp4")).replace(path)
    return path


def _encode(shot: Shot, path: Path, bit_rate: int) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        picture = container.add_stream("libx264", rate=RATE)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.bit_rate = bit_rate
        picture.thread_count = 1
        picture.options = {"preset": "ultrafast", "g": "50", "x264-params": f"nal-hrd=cbr:{_buffer(bit_rate)}"}
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        _write(shot, container, picture, sound)


def _buffer(bit_rate: int) -> str:
    kilobits = bit_rate // 1000
    return f"vbv-maxrate={kilobits}:vbv-bufsize={kilobits}"


def _write(shot: Shot, container: "OutputContainer", picture: "VideoStream", sound: "AudioStream") -> None:
    count = round(shot.seconds * RATE)
    spoken = 0
    for number, plane in enumerate(_planes(shot, count)):
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        container.mux(picture.encode(frame))
        while spoken * RATE < (number + 1) * SOUND_RATE:
            container.mux(sound.encode(_tone(spoken, shot.seed)))
            spoken += SOUND_FRAME
    container.mux(picture.encode(None))
    container.mux(sound.encode(None))


def _tone(position: int, seed: int) -> av.AudioFrame:
    steps = (position + np.arange(SOUND_FRAME)) / SOUND_RATE
    wave = 0.2 * np.sin(2 * np.pi * (300 + 20 * (seed % 17)) * steps)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[np.newaxis, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, position, Fraction(1, SOUND_RATE)
    return frame


def _planes(shot: Shot, count: int) -> Iterator[Plane]:
    """Frames as planar YUV: a drifting scene, grain that eats bits, a label that changes with the clock."""
    chance = np.random.default_rng(shot.seed)
    scene = _scene(chance)
    grains = chance.integers(0, GRAIN, (TEXTURES, HEIGHT, WIDTH), dtype=np.uint8)
    chroma = _chroma(shot.seed)
    for number in range(count):
        luma = np.roll(scene, 3 * number, axis=1) + grains[number % TEXTURES]
        _label(luma, shot, number)
        yield np.concatenate((luma, chroma))


def _scene(chance: np.random.Generator) -> Plane:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    luma = 70 + 40 * np.sin(columns * 2 * np.pi * 4 / WIDTH) + 30 * (rows / HEIGHT)
    for _ in range(24):
        top, left = int(chance.integers(120, HEIGHT - 160)), int(chance.integers(0, WIDTH - 120))
        luma[top : top + 150, left : left + 100] = chance.integers(40, 200)
    scene: Plane = np.clip(luma, 16, 200).astype(np.uint8)
    return scene


def _chroma(seed: int) -> Plane:
    blue = np.full((HEIGHT // 4, WIDTH), 118 + seed % 20, dtype=np.uint8)
    red = np.full((HEIGHT // 4, WIDTH), 122 + seed % 13, dtype=np.uint8)
    return np.concatenate((blue, red))


def _label(luma: Plane, shot: Shot, number: int) -> None:
    when = (shot.started_at + timedelta(seconds=number / RATE)).astimezone(UTC)
    text = f"{shot.device} {when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 10000:02d}Z"
    mask = draw(text, 4)
    box = luma[24 : 24 + mask.shape[0] + 16, 24 : 24 + mask.shape[1] + 16]
    box[:] = 16
    box[8 : 8 + mask.shape[0], 8 : 8 + mask.shape[1]][mask] = 235


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one file by hand."""
    given = _parser().parse_args(arguments)
    started = datetime.fromisoformat(given.started_at) if given.started_at else datetime.now(UTC)
    shot = Shot(given.device, started, given.seconds, round(given.mb * MEBI), given.seed)
    if given.cache is not None:
        path = film_cached(shot, given.cache)
    else:
        path = film(shot, given.out or Path(f"{given.device}.mp4"))
    say({"event": "filmed", "path": str(path), "size": path.stat().st_size})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.video", description=__doc__)
    parser.add_argument("--device", default="cam-0001")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--mb", type=float, default=5.5, help="MiB, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--started-at", help="RFC 3339; now unless said")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cache", type=Path, help="folder to keep the file in and to find it again")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
