"""The allocator keeps what footage frees: measured as the kernel's own count of pages cleared, in a process apart."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests import peers

PASSES = """
import resource, sys
from gateway.allocator import keep_freed_blocks
if sys.argv[1] == "kept":
    assert keep_freed_blocks()
def segments(number):
    for _ in range(number):
        held = [bytearray(1 << 20) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
segments(8)
before = segments(1)
print(segments(64) - before)
"""


def pages(how: str) -> int:
    """Pages the kernel had to clear for 256 segments of 1 MiB."""
    ran = subprocess.run([sys.executable, "-c", PASSES, how], capture_output=True, text=True, check=True)
    return int(ran.stdout)


def test_segments_are_written_over_what_earlier_ones_freed() -> None:
    """Told so, it takes next to no new pages for segment after segment; left alone, it takes tens of thousands."""
    if platform.libc_ver()[0] != "glibc":
        peers.left_out("another C library's allocator")
    assert pages("kept") < 2_000 < pages("left alone")


def test_another_c_library_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no such wish to tell, nothing happens."""
    monkeypatch.setattr("gateway.allocator.ctypes.CDLL", lambda _name: object())
    from gateway.allocator import keep_freed_blocks

    assert not keep_freed_blocks()
