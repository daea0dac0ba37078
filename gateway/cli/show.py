"""How lists and results are printed: a table for a person, JSON for a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table


def json(body: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.encode(body).decode())


def cell(content: object) -> str:
    """One value as a person reads it: a dash for none, yes or no, a list with commas."""
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, list | tuple):
        return ", ".join(str(each) for each in content) or "-"
    return "-" if content is None else str(content)


def facts(named: Mapping[str, object]) -> None:
    """Print names and values, one line each."""
    width = max(map(len, named), default=0)
    for name, content in named.items():
        click.echo(f"{name:>{width}}  {cell(content)}")


def rows(columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Print a table; what is None is a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*map(cell, line))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width: one line a row
        console = Console(width=10_000)
    console.print(table)
