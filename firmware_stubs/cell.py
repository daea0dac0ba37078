"""Where a terminal stands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """Where the terminal stands: who it is, its network, area and selected group."""

    issi: int = 2349001
    network: str = "023409999"
    area: int = 17
    group: int = 2340001
    scanned: tuple[int, ...] = ()
    signal: int = 24
