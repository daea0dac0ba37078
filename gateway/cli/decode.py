"""`lapel decode` and `lapel encode`: the codecs of the drivers, from a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from io import BufferedIOBase
from typing import Any, cast

import click

DECODERS = {
    "lip": "drivers.tetra.decode:lip",
    "sds": "drivers.tetra.decode:sds",
    "pei": "drivers.tetra.decode:pei",
    "beacon": "drivers.beacon.decode:beacon",
}
ENCODERS = {
    "lip": "drivers.tetra.decode:encode_lip",
    "sds": "drivers.tetra.decode:encode_sds",
}
Codec = Callable[..., Iterator[dict[str, Any]]]
FAILED = 1
PIECE = 4096
LONGEST_LINE = 131_072
"""Security limit of a line of standard input."""


def _codec(where: str) -> Codec:
    module, name = where.split(":")
    return cast("Codec", getattr(import_module(module), name))


def _options(kind: str, topic: str | None, *, no_pid: bool) -> dict[str, Any]:
    """Only the options that mean something to this kind; the others are a mistake worth naming."""
    if no_pid and kind != "lip":
        raise click.UsageError(f"--no-pid means nothing for {kind}")
    if topic is not None and kind != "beacon":
        raise click.UsageError(f"--topic means nothing for {kind}")
    options: dict[str, Any] = {"pid": False} if no_pid else {}
    return options if topic is None else options | {"topic": topic}


def _pieces() -> Iterator[bytes]:
    """Standard input as it arrives: a port's bytes need not have lines."""
    stream = cast("BufferedIOBase", sys.stdin.buffer)
    while piece := stream.read1(PIECE):
        yield piece


def _lines() -> Iterator[bytes]:
    """Lines of standard input; one without an end comes in pieces, each an error of its own."""
    while line := sys.stdin.buffer.readline(LONGEST_LINE):
        yield line


def _print(objects: Iterable[dict[str, Any]], shown: Callable[[dict[str, Any]], str]) -> None:
    """Print each as it comes; end with exit code 1 where one of them is an error."""
    failed = False
    for known in objects:
        failed = failed or "error" in known
        click.echo(json.dumps(known, ensure_ascii=False) if "error" in known else shown(known))
    if failed:
        sys.exit(FAILED)


@click.command()
@click.argument("kind", type=click.Choice(list(DECODERS)))
@click.option("--no-pid", is_flag=True, help="LIP PDUs come without their PID octet 0A.")
@click.option("--topic", metavar="T", help="The MQTT topic the beacon payloads came on.")
def decode(kind: str, topic: str | None, *, no_pid: bool) -> None:
    """Read standard input, print one JSON object a line.

    lip and sds: hex, one PDU a line; pei: the raw bytes of a port; beacon: one payload a line.
    A bad line gives {"error": …} and the run goes on; exit code 1 if there was any.
    """
    options = _options(kind, topic, no_pid=no_pid)
    lines = _pieces() if kind == "pei" else _lines()
    _print(_codec(DECODERS[kind])(lines, **options), lambda known: json.dumps(known, ensure_ascii=False))


@click.command()
@click.argument("kind", type=click.Choice(list(ENCODERS)))
@click.option("--no-pid", is_flag=True, help="Print LIP PDUs without their PID octet 0A.")
def encode(kind: str, *, no_pid: bool) -> None:
    """Read decoded JSON objects, print hex, one PDU a line: the inverse of decode."""
    options = _options(kind, None, no_pid=no_pid)
    _print(_codec(ENCODERS[kind])(_lines(), **options), lambda known: str(known["hex"]))
