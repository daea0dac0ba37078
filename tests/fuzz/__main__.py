"""`python -m tests.fuzz --seconds N [target …]`: fuzz each target for its share of the time.

With atheris, where it is installed: guided by coverage, each target in a process of its own. Without
it: octets of the seeds changed at random, guided by the lines that they reach. Which one it was is said.
Exit code 1 where a target failed; the octets that did it are printed in hex.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import CodeType, FrameType

from tests.fuzz.targets import TARGETS, Target, seeds

LONGEST = 2048
FOLDERS = ("drivers/tetra/", "drivers/camera/", "drivers/beacon/")


def mutated(chance: random.Random, octets: bytes, other: bytes) -> bytes:
    """Some octets changed, put in, cut out, or taken from another seed."""
    changed = bytearray(octets)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(changed))
        kind = chance.randrange(5)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
        elif kind == 2:
            del changed[at : at + chance.randint(1, 16)]
        elif kind == 3 and other:
            begin = chance.randrange(len(other))
            changed[at:at] = other[begin : begin + chance.randint(1, 40)]
        elif changed:
            changed[at % len(changed)] = chance.choice((0, 0x7F, 0x80, 0xFF, 0x0A, 0x0D, 0x2C, 0x30))
    return bytes(changed[:LONGEST])


class Reached:
    """Which lines of the parsers a run has come to."""

    def __init__(self) -> None:
        self.lines: set[tuple[CodeType, int]] = set()

    def trace(self, frame: FrameType, event: str, _: object) -> object:
        """For sys.settrace: note each line of the parsers, and nothing else."""
        if not any(folder in frame.f_code.co_filename for folder in FOLDERS):
            return None
        if event == "line":
            self.lines.add((frame.f_code, frame.f_lineno))
        return self.trace


def run_once(target: Target, octets: bytes, reached: Reached) -> int:
    """Run it; how many lines are new."""
    before = len(reached.lines)
    sys.settrace(reached.trace)
    try:
        target(octets)
    finally:
        sys.settrace(None)
    return len(reached.lines) - before


def mutate(name: str, seconds: float, corpus: list[bytes]) -> tuple[int, bytes | None]:
    """Fuzz without atheris: the count of runs, and the octets that failed. Every eighth run is traced for coverage."""
    chance, reached, runs = random.Random(name), Reached(), 0
    target, corpus = TARGETS[name], list(corpus)
    ends = time.monotonic() + seconds
    octets = b""
    try:
        for octets in corpus:
            run_once(target, octets, reached)
            runs += 1
            if time.monotonic() >= ends:
                break
        while time.monotonic() < ends:
            octets = mutated(chance, chance.choice(corpus), chance.choice(corpus))
            if runs % 8:
                target(octets)
            elif run_once(target, octets, reached):
                corpus.append(octets)
            runs += 1
    except Exception as fault:
        print(f"{name}: {type(fault).__name__}: {fault}\n  octets: {octets.hex()}")
        return runs, octets
    print(f"{name}: {runs} runs, {len(reached.lines)} lines reached, {len(corpus)} seeds")
    return runs, None


def guided(name: str, seconds: float, corpus: list[bytes]) -> bool:
    """Fuzz with atheris in a process of its own, since it never returns; whether it found nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for number, octets in enumerate(corpus):
            (Path(folder) / str(number)).write_bytes(octets)
        limits = [f"-max_total_time={max(1, int(seconds))}", f"-max_len={LONGEST}", "-timeout=10", folder]
        done = subprocess.run([sys.executable, "-m", "tests.fuzz.guided", name, *limits], check=False)
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    """Fuzz; 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--without-atheris", action="store_true")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[])
    chosen = parser.parse_args(arguments)
    names, known = chosen.targets or list(TARGETS), seeds()
    by_coverage = importlib.util.find_spec("atheris") is not None and not chosen.without_atheris
    print("atheris, guided by coverage" if by_coverage else "no atheris: mutation of seeds, guided by lines reached")
    share, clean = chosen.seconds / len(names), True
    for name in names:
        if by_coverage:
            clean &= guided(name, share, known[name])
        else:
            clean &= mutate(name, share, known[name])[1] is None
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
