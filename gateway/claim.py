"""One gateway a data directory: two would take up each other's uploads, and seal or remove them under way."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from gateway.errors import ConfigError

LOCK = "gateway.lock"
PATIENCE_S = 3.0
PAUSE_S = 0.05


def claim(data: Path) -> int:
    """Lock a directory, made for its owner alone, until the descriptor is closed or the process ends; may block.

    ConfigError where another gateway has it.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            if time.monotonic() > deadline_s:
                os.close(descriptor)
                raise ConfigError("gateway.data", f"another gateway runs on {data}") from taken
            time.sleep(PAUSE_S)
        else:
            return descriptor
