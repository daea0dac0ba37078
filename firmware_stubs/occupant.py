"""Another program on a serial port: it holds the port, and perhaps a lock on it, and eats what the radio says."""

import argparse
import fcntl
import os
import signal
import termios
import threading
from collections.abc import Sequence
from pathlib import Path

from firmware_stubs.jsonline import say

READ_CAP = 4096
STEP_S = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold a port until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.occupant", description=__doc__)
    parser.add_argument("--port", type=Path, required=True)
    parser.add_argument("--lock", action="store_true", help="take the lock that well-behaved programs take")
    parser.add_argument("--exclusive", action="store_true", help="forbid every further open (TIOCEXCL)")
    parser.add_argument("--eat", action="store_true", help="read what comes, so that nobody else does")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    port = os.open(given.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    if given.lock:
        fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if given.exclusive:
        fcntl.ioctl(port, termios.TIOCEXCL)
    say({"event": "holding", "port": os.ttyname(port), "pid": os.getpid()})
    eaten = 0
    while not stop.wait(STEP_S):
        eaten += len(_read(port)) if given.eat else 0
    os.close(port)
    say({"event": "summary", "eaten": eaten})
    return 0


def _read(port: int) -> bytes:
    try:
        return os.read(port, READ_CAP)
    except (BlockingIOError, OSError):
        return b""


if __name__ == "__main__":
    raise SystemExit(main())
