"""Zones of a town's size: twenty-four, of 64 vertices each, over the square that the bench's units walk in."""

from __future__ import annotations

import math

from gateway.feed.zones import Zone

ACROSS, DOWN, VERTICES = 6, 4, 64
WEST, SOUTH, WIDE, HIGH = -0.3, 52.5, 0.2, 0.1


def wards() -> tuple[Zone, ...]:
    """Rounds that leave a little between them."""
    return tuple(_round(column, row) for row in range(DOWN) for column in range(ACROSS))


def _round(column: int, row: int) -> Zone:
    wide, high = WIDE / ACROSS, HIGH / DOWN
    lon, lat = WEST + (column + 0.5) * wide, SOUTH + (row + 0.5) * high
    turns = [2 * math.pi * number / VERTICES for number in range(VERTICES)]
    ring = [(lon + 0.48 * wide * math.cos(turn), lat + 0.48 * high * math.sin(turn)) for turn in turns]
    return Zone(f"ward-{column}-{row}", f"Ward {column}/{row}", (((*ring, ring[0]),),))
