"""A fleet of cameras for load: a few processes, a crowd of cameras each, one account at the end."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware_stubs.fleet_account import settled
from firmware_stubs.fleet_share import Share
from firmware_stubs.habits import NAMED, SEGMENT, named
from firmware_stubs.jsonline import say

CAMERAS_A_PROCESS = 50
PROGRESS_S = 1.0
LAST_WORD_S = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive a fleet, or one share of it; exit 1 on a breach of the protocol or footage that was not settled."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if min(given.cameras, given.size, given.processes + 1) <= 0 or given.recordings < 0:
        parser.error("--cameras, --size: more than 0; --recordings, --processes: not less")
    if not given.recordings and not given.duration:
        parser.error("--recordings 0 needs --duration")
    try:
        named(given.habits.split(","))
    except ValueError as wrong:
        parser.error(f"--habits: {wrong}")
    return _share(given) if given.share else Fleet(given).run()


def _share(given: argparse.Namespace) -> int:
    stop, go = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # whoever started us says when to stop

    def heed() -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                go.set()
        stop.set()
        go.set()

    share = Share(given)
    threading.Thread(target=heed, name="cues", daemon=True).start()
    say({"event": "ready"})
    go.wait()
    say({"event": "share", **share.run(stop)})
    return 0


class Fleet:
    """The processes of a fleet, started together and heard until each has given its account."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._shares: list[subprocess.Popen[str]] = []
        self._progress: dict[int, dict[str, int]] = {}
        self._accounts: list[dict[str, Any]] = []
        self._ready = threading.Semaphore(0)
        self._stop = threading.Event()

    def run(self) -> int:
        """Start, wait, account."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        readers = self._start()
        for reader in readers:
            while reader.is_alive() and not self._ready.acquire(timeout=0.1):
                pass
        began_s = time.monotonic()
        self._tell("go\n")
        self._wait(readers)
        seconds = time.monotonic() - began_s
        self._end(readers)
        account = settled(self._accounts, seconds, cameras=self._given.cameras, processes=len(self._shares))
        say({"event": "summary", **account})
        failed = len(self._accounts) < len(self._shares)
        return 1 if failed or account["violation_count"] or account["held"] else 0

    def _start(self) -> list[threading.Thread]:
        given = self._given
        count = given.processes or min(os.cpu_count() or 1, -(-given.cameras // CAMERAS_A_PROCESS))
        sizes = [len(range(number, given.cameras, count)) for number in range(count)]
        first, readers = given.first, []
        for number, size in enumerate(sizes):
            words = [*sys.argv[1:], "--share", "--first", str(first), "--cameras", str(size)]
            words += ["--processes", str(count)]
            self._shares.append(_process(words))
            readers.append(threading.Thread(target=self._hear, args=(number,), daemon=True))
            readers[-1].start()
            first += size
        return readers

    def _hear(self, number: int) -> None:
        stream = self._shares[number].stdout
        assert stream is not None
        for line in stream:
            said = json.loads(line)
            match said.pop("event"):
                case "ready":
                    self._ready.release()
                case "progress":
                    self._progress[number] = said
                case "share":
                    self._accounts.append(said)
                case event if self._given.happenings:
                    say({"event": event, **said})

    def _tell(self, word: str) -> None:
        for share in self._shares:
            if share.stdin is not None and share.poll() is None:
                share.stdin.write(word)
                share.stdin.flush()

    def _wait(self, readers: Sequence[threading.Thread]) -> None:
        next_s = 0.0
        while any(reader.is_alive() for reader in readers) and not self._stop.wait(0.05):
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + PROGRESS_S
                total: Counter[str] = Counter()
                for each in tuple(self._progress.values()):
                    total.update(each)
                say({"event": "progress", **total})

    def _end(self, readers: Sequence[threading.Thread]) -> None:
        for share in self._shares:
            if share.stdin is not None:
                share.stdin.close()
        for reader in readers:
            reader.join(LAST_WORD_S)
        for share in self._shares:
            share.kill()
            share.wait()


def _process(words: Sequence[str]) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((root, os.environ.get("PYTHONPATH", "")))}
    return subprocess.Popen(  # noqa: S603 - our own module and our own arguments
        [sys.executable, "-m", "firmware_stubs.fleet", *words],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.fleet", description=__doc__)
    parser.add_argument("--mqtt", required=True, help="HOST:PORT")
    parser.add_argument("--vkey", type=Path, required=True, help="the pinned log key")
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--recordings", type=int, default=1, help="per camera; 0: as many as --duration allows")
    parser.add_argument("--size", type=float, default=8.0, help="MB of each recording")
    parser.add_argument("--segment-kib", type=int, default=SEGMENT // 1024)
    parser.add_argument("--habits", default="steady", help=f"in turn, comma separated: all, {', '.join(NAMED)}")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds after which nothing new is recorded")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds after which what is held stays held")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds of silence before a camera asks again")
    parser.add_argument("--pace-kib", type=float, default=0.0, help="each camera's link, KiB a second; 0 is no limit")
    parser.add_argument("--memory-mb", type=int, default=256, help="footage in flight in all processes together")
    parser.add_argument("--processes", type=int, default=0, help="0: as many as serve the fleet, a core each at most")
    parser.add_argument("--first", type=int, default=1, help="number of the first camera: cam-0001")
    parser.add_argument("--credentials", type=Path, help="JSON file, device to password")
    parser.add_argument("--certificates", type=Path, help="folder with ca.crt, DEVICE.crt, DEVICE.key")
    parser.add_argument("--happenings", action="store_true", help="print what happens to each recording as well")
    parser.add_argument("--share", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
