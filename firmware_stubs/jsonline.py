"""One JSON object a line on standard output, whole lines from any thread."""

import json
import sys
import threading
from collections.abc import Mapping

_lock = threading.Lock()


def say(happening: Mapping[str, object]) -> None:
    """Print one happening and flush, so that whoever reads the pipe sees it now."""
    line = json.dumps(happening, separators=(",", ":"))
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
