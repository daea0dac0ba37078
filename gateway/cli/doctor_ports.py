"""A serial port looked at without a gateway: is it there, may we open it, who holds it."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.doctor_words import Finding

PROC = Path("/proc")


def look(name: str, port: str) -> Finding:
    """One radio input's port. Nothing is opened: opening would disturb a program that uses it."""
    try:
        found = Path(port).stat()
    except OSError as wrong:
        there = ", ".join(sorted(map(str, Path("/dev/serial/by-id").glob("*")))) or "no USB serial port"
        return Finding(
            name,
            "wrong",
            f"{port}: {wrong.strerror}: the radio or its lead is unplugged, or the name is another",
            f"Plug it in and correct `port`; there is: {there}.",
        )
    if not stat.S_ISCHR(found.st_mode):
        return Finding(name, "wrong", f"{port} is no serial port", "Correct `port` in the configuration.")
    if not os.access(port, os.R_OK | os.W_OK):
        return Finding(
            name, "wrong", f"{port}: not readable and writable for this user", f"Join the group {_group(found.st_gid)}."
        )
    held = list(holders(found.st_rdev))
    if held:
        return Finding(
            name,
            "wrong",
            f"{port} is held by {', '.join(held)}",
            "End it if it is not the gateway; if it is, ask the gateway itself with --url and --token-file.",
        )
    return Finding(name, "fine", f"{port} is there, may be opened, and nobody holds it")


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def holders(device: int) -> Iterator[str]:
    """Every other process that has this character device open, as far as this user may see."""
    for folder in PROC.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid() and _has_open(folder, device):
            yield f"{_called(folder)} (process {folder.name})"


def _has_open(process: Path, device: int) -> bool:
    try:
        return any(_is(entry, device) for entry in (process / "fd").iterdir())
    except OSError:  # it has ended, or is somebody else's
        return False


def _is(entry: Path, device: int) -> bool:
    try:
        found = entry.stat()
    except OSError:
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == device


def _called(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a program"
