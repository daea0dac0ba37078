"""Names the stubs that can be started: `python -m firmware_stubs.shift` and its like."""

import sys

STUBS = ("shift", "terminal", "occupant", "beacon", "camera", "video")

if __name__ == "__main__":
    for stub in STUBS:
        sys.stdout.write(f"python -m firmware_stubs.{stub} --help\n")
