"""`make bench`: every figure as a ratio to a peer or a limit measured in the same run."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import import_module

from rich.console import Console
from rich.table import Table

PARTS = (
    "lip",
    "radio",
    "terminals",
    "feed",
    "core",
    "fanout",
    "snapshot",
    "stalled",
    "geo",
    "latency",
    "scale",
    "broker",
    "log",
    "vault",
    "export",
    "upload",
    "seal",
    "restart",
    "crowd",
    "evidence",
)


def flat(figures: dict, prefix: str = "") -> list[tuple[str, object]]:
    """Figures of any depth as lines."""
    lines: list[tuple[str, object]] = []
    for name, figure in figures.items():
        key = f"{prefix}{name}"
        lines += flat(figure, f"{key}.") if isinstance(figure, dict) else [(key, figure)]
    return lines


def main(chosen: list[str]) -> None:
    """Run all parts, or those named."""
    console = Console(width=120 if not sys.stdout.isatty() else None)
    console.print(f"{time.strftime('%Y-%m-%d %H:%M')}  {os.cpu_count()} cores  Python {platform.python_version()}")
    for part in chosen or PARTS:
        figures = import_module(f"tests.bench.{part}").run()
        table = Table(title=part, title_justify="left", box=None, show_header=False, pad_edge=False)
        for name, figure in flat(figures):
            table.add_row(name, f"{figure:,.3f}" if isinstance(figure, float) else str(figure))
        console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
