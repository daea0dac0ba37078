"""The `[media]` section of the configuration: which commands examine recordings, and within which limits."""

from __future__ import annotations

from typing import Annotated

import msgspec

Command = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^(?:/[^\x00]*|[^/\x00]+)$")]


class MediaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Commands by name (found in PATH) or by absolute path; seconds for one recording, memory of one child.

    Memory is address space: the ffmpeg commands of a distribution map some 200 MB of libraries before they begin.
    """

    enabled: bool = True
    ffprobe: Command = "ffprobe"
    ffmpeg: Command = "ffmpeg"
    seconds: Annotated[float, msgspec.Meta(ge=1, le=600)] = 20.0
    memory_mb: Annotated[int, msgspec.Meta(ge=256, le=16_384)] = 1024
    derive_seconds: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 1800.0
    derive_memory_mb: Annotated[int, msgspec.Meta(ge=256, le=65_536)] = 2048
    derive_source_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 512
    """How much of a master lies in memory while something is made of it."""
