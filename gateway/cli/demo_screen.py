"""What a person sees while a demonstration runs."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.cli.demo_account import Account


class Picture(msgspec.Struct):
    """The figures of one moment."""

    address: str
    data: str
    token: str
    seconds: float = 0.0
    units_seen: int = 0
    units: int = 0
    positions: int = 0
    positions_per_s: float = 0.0
    emergencies: int = 0
    crossings: int = 0
    quarantined: int = 0
    log_entries: int = 0
    witnessed: int = 0
    log_root: str = ""
    worked: str = ""
    cameras: list[dict[str, Any]] = msgspec.field(default_factory=list)
    seals: list[tuple[str, str, int, int]] = msgspec.field(default_factory=list)


def draw(now: Picture) -> Group:
    """Draw the whole screen."""
    return Group(_head(now), _figures(now), _uploads(now), _seals(now))


def _head(now: Picture) -> Panel:
    text = Text()
    text.append("Open ", style="dim")
    text.append(now.address, style="bold underline")
    text.append("   token ", style="dim")
    text.append(now.token, style="bold")
    text.append("\nData ", style="dim")
    text.append(now.data)
    text.append(f"   {now.seconds:.0f} s, Ctrl-C stops", style="dim")
    return Panel(text, title="Lapel", title_align="left", border_style="blue")


def _figures(now: Picture) -> Table:
    table = Table.grid(padding=(0, 3))
    figures = (
        ("units seen", f"{now.units_seen} of {now.units}"),
        ("positions", f"{now.positions}"),
        ("a second", f"{now.positions_per_s:.1f}"),
        ("emergencies", f"{now.emergencies}"),
        ("zones crossed", f"{now.crossings}"),
        ("quarantined", f"{now.quarantined}"),
        ("log entries", f"{now.log_entries}"),
        ("witnessed", f"{now.witnessed}"),
    )
    table.add_row(*(Text(name, style="dim") for name, _ in figures))
    table.add_row(*(Text(figure, style="bold") for _, figure in figures))
    return table


def _uploads(now: Picture) -> Table:
    table = Table("camera", "recording", "on disk", "", "", box=None, pad_edge=False, header_style="dim")
    for camera in now.cameras:
        size, durable = camera.get("size") or 0, camera.get("durable") or 0
        bar = ProgressBar(total=size or 1, completed=durable, width=30)
        figure = f"{durable / 1e6:5.1f} / {size / 1e6:.1f} MB" if size else ""
        table.add_row(camera["device"], camera.get("recording") or "", bar, figure, str(camera["state"]))
    return table


def _seals(now: Picture) -> Table:
    table = Table("sealed", "recording", "bytes", "log index", box=None, pad_edge=False, header_style="dim")
    for exhibit, recording, size, index in now.seals[:8]:
        table.add_row(exhibit, recording, f"{size:,}", str(index))
    if now.worked:
        table.add_row(Text("evidence work", style="dim"), Text(now.worked))
    table.add_row(Text("log root", style="dim"), Text(now.log_root, style="cyan", no_wrap=True))
    return table


def summary(account: Account, data: str) -> Table:
    """The last screen: what was sent, what was kept, what is lost."""
    table = Table(title="Account", title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, figure in (
        ("positions sent", account.positions_sent),
        ("positions accepted", account.positions_accepted),
        ("recordings sent", account.recordings_sent),
        ("recordings sealed", account.recordings_sealed),
        ("held by devices", account.held),
        ("abandoned on purpose", account.abandoned),
        ("rubbish sent", account.rubbish_sent),
        ("quarantined", account.quarantined),
        ("log entries", account.log_entries),
    ):
        table.add_row(name, f"{figure:,}")
    for name in account.lost_on_purpose:
        table.add_row("lost on purpose", name)
    table.add_row(
        Text("lost", style="bold"), Text(str(account.lost), style="bold red" if account.lost else "bold green")
    )
    for breach in account.violations:
        table.add_row(Text("broken promise", style="bold red"), breach)
    table.add_row("verify with", f"lapel evidence verify --all --data {data}")
    return table
