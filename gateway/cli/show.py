"""How lists and results are printed: a table for a person, JSON for a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table


def json(body: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.encode(body).decode())


def rows(columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Print a table; what is None is a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*("-" if cell is None else str(cell) for cell in line))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width: one line a row
        console = Console(width=10_000)
    console.print(table)
