"""A serial port looked at without a gateway: is it there, may we open it, who holds it."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

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
    others = [str(one) for one in held if not one.gateway]
    if others:
        return Finding(
            name, "wrong", f"{port} is held by {', '.join(others)}", "End it: two programs on one port hear half each."
        )
    if held:
        return Finding(
            name,
            "note",
            f"{port} is held by the gateway itself ({', '.join(map(str, held))})",
            "Ask the gateway how it is: --url and --token-file.",
        )
    return Finding(name, "fine", f"{port} is there, may be opened, and nobody holds it")


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


class Holder(msgspec.Struct, frozen=True):
    """A process that has the port open; gateway: it is one of ours."""

    process: int
    name: str
    gateway: bool

    def __str__(self) -> str:
        """As a person would look for it."""
        return f"{self.name} (process {self.process})"


def holders(device: int) -> Iterator[Holder]:
    """Every other process that has this character device open, as far as this user may see."""
    for folder in PROC.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid() and _has_open(folder, device):
            yield Holder(int(folder.name), _read(folder / "comm").strip() or "a program", _is_gateway(folder))


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


def _is_gateway(process: Path) -> bool:
    """Whether it is `lapel run` or `python -m gateway run`."""
    words = [Path(word).name for word in _read(process / "cmdline").split("\0")]
    return any(word in ("gateway", "lapel") and after == "run" for word, after in pairwise(words))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:  # it has ended
        return ""
