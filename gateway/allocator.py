"""The C library's allocator, told what footage does to it: each segment is a large block that soon comes back.

Left alone it returns such blocks to the kernel and has them cleared anew, page by page, for the next segment.
"""

from __future__ import annotations

import ctypes

MIB = 1024 * 1024
KEPT_OCTETS = 32 * MIB
"""What may lie free at the end of the heap before it is given back."""
MAPPED_FROM_OCTETS = 4 * MIB
"""Blocks from this size on are mapped and given back one by one; the recommended segment is 1 MiB."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library


def keep_freed_blocks() -> bool:
    """Reuse freed blocks rather than give them back; False where the C library knows no such wish."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return False
    return all([tell(_MMAP_THRESHOLD, MAPPED_FROM_OCTETS), tell(_TRIM_THRESHOLD, KEPT_OCTETS)])
