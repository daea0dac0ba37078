"""`lapel fleet`: emulated cameras by the hundred, in processes of their own, against any broker that Lapel serves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places


@click.command()
@click.option("--broker", required=True, metavar="HOST:PORT", help="Where the cameras connect.")
@click.option("--cameras", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--recordings", type=click.IntRange(min=0), default=1, show_default=True, help="Per camera; 0: see --duration."
)
@click.option("--size", type=click.FloatRange(min=0.001), default=8.0, show_default=True, metavar="MB", help="Of each.")
@click.option(
    "--habits", default="steady", show_default=True, help="In turn, comma separated, or all; see docs/fleet.md."
)
@click.option("--segment-kib", type=click.IntRange(min=1), default=1024, show_default=True)
@click.option("--duration", type=click.FloatRange(min=0), help="Seconds after which nothing new is recorded.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds after which what is held counts as held.")
@click.option("--processes", type=click.IntRange(min=1), help="A core each at most unless said.")
@click.option("--certificates", metavar="DIR", help="ca.crt, DEVICE.crt and DEVICE.key of cam-0001 and on: mutual TLS.")
@click.option("--credentials", metavar="FILE", help="JSON, device to password.")
@click.option("--vkey", metavar="FILE", help="The log's key that cameras pin; else that of the store.")
@of_store
@as_json_option
def fleet(broker: str, vkey: str | None, config: str | None, data: str | None, *, as_json: bool, **more: Any) -> None:  # noqa: ANN401
    """Drive a fleet of cameras; exit 1 on a breach of the protocol, or footage without its receipt."""
    host, colon, port = broker.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise click.UsageError(f"--broker: {broker!r} is no HOST:PORT")
    key = Path(vkey) if vkey is not None else places(config, data).evidence / "log" / "log.vkey"
    for option, path in (("--vkey", key), *((f"--{name}", more[name]) for name in ("certificates", "credentials"))):
        if path is not None and not Path(path).exists():
            raise click.UsageError(f"{option}: {path} is not there")
    _all_there(more["certificates"], more["cameras"])
    words = ["--mqtt", broker, "--vkey", str(key)]
    for name, value in more.items():
        words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
    summary, code = _drive(words)
    if summary is None:
        sys.exit(code or 1)
    if as_json:
        show.json(summary)
    else:
        show.rows(("fleet", ""), _lines(summary))
        for breach in summary["violations"]:
            click.echo(f"violation: {breach}", err=True)
    sys.exit(code)


def _all_there(certificates: str | None, cameras: int) -> None:
    """Every camera of the fleet has what it needs to connect: said before the first of them starts."""
    if certificates is None:
        return
    folder = Path(certificates)
    names = ["ca.crt", *(f"cam-{number:04d}.{end}" for number in range(1, cameras + 1) for end in ("crt", "key"))]
    lacking = [name for name in names if not (folder / name).exists()]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise click.UsageError(f"--certificates: {folder / lacking[0]} is not there{more}: enrol them (docs/fleet.md)")


def _drive(words: list[str]) -> tuple[dict[str, Any] | None, int]:
    """Run the fleet's own command, showing progress on standard error; its account and its exit code."""
    command = [sys.executable, "-m", "firmware_stubs.fleet", *words]
    summary = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        for said in _lines_of(process):
            if said.pop("event") == "summary":
                summary = said
            elif said:
                click.echo(", ".join(f"{count:,} {name}" for name, count in said.items()), err=True)
    return summary, process.returncode


def _lines_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What it says until it ends; Ctrl-C reaches it as well, and its account still comes."""
    assert process.stdout is not None
    while True:
        try:
            line = process.stdout.readline()
        except KeyboardInterrupt:
            continue
        if not line:
            return
        yield json.loads(line)


def _lines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The account for a person."""
    counts = [(name, f"{summary[name]:,}") for name in ("cameras", "recordings", "sealed", "held", "without_power")]
    rates = [("violations", str(summary["violation_count"])), ("throughput", f"{summary['mb_s']:,} MB/s")]
    for name, what in (("upload_s", "first byte to receipt"), ("receipt_s", "fin to receipt")):
        times = summary[name]
        told = "-" if times["p50"] is None else f"p50 {times['p50']:.3f} s, p99 {times['p99']:.3f} s"
        rates.append((what, told))
    return [(name.replace("_", " "), told) for name, told in counts + rates]
