"""`lapel log witness -c FILE`: cosigns other people's logs; a server of its own, for a partner agency."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import tomllib
from pathlib import Path
from typing import Literal

import click
import msgspec
import structlog

from gateway.api.witness import WitnessServer
from gateway.crypto.cosignatures import WitnessKey
from gateway.crypto.keys import LogSigner, signing_key
from gateway.crypto.notes import VerifierKey, check_name, parse_vkey
from gateway.errors import ConfigError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.witness import Witness
from gateway.evidence.settings import Closed
from gateway.observe import SystemClock, set_up_logs
from gateway.settings import Port, closed


class PinnedLog(Closed, frozen=True):
    """[[log]]: a log that this witness cosigns, by its origin and verifier keys."""

    origin: str
    vkey: list[str]


class WitnessSettings(Closed, frozen=True):
    """The witness's file."""

    name: str
    log: list[PinnedLog]
    key: str = "witness.key"
    state: str = "witness"
    host: str = "127.0.0.1"
    port: Port = 7380
    level: Literal["debug", "info", "warning", "error"] = "info"


def load(file: Path) -> WitnessSettings:
    """Read the file; ConfigError names file, key and what is wrong. Relative paths are relative to it."""
    try:
        found = closed(WitnessSettings, tomllib.loads(file.read_text("utf-8")), "")
        _named(found.name)
        pinned(found)
    except OSError as wrong:
        raise ConfigError("", f"cannot be read: {wrong.strerror}", str(file)) from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ConfigError("", f"is not TOML: {wrong}", str(file)) from wrong
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, str(file)) from wrong
    folder = file.resolve().parent
    return msgspec.structs.replace(found, key=str(folder / found.key), state=str(folder / found.state))


def _named(name: str) -> None:
    try:
        check_name(name)
    except ValueError as wrong:
        raise ConfigError("name", str(wrong)) from wrong


def pinned(settings: WitnessSettings) -> dict[str, tuple[VerifierKey, ...]]:
    """Each log's keys by its origin; ConfigError names the one that cannot be read."""
    logs: dict[str, tuple[VerifierKey, ...]] = {}
    for number, log in enumerate(settings.log):
        try:
            keys = tuple(parse_vkey(text) for text in log.vkey)
        except ValueError as wrong:
            raise ConfigError(f"log[{number}].vkey", str(wrong)) from wrong
        if not keys or log.origin in logs or any(key.name != log.origin for key in keys):
            raise ConfigError(f"log[{number}]", f"{log.origin!r} needs keys under its own name, and to stand once")
        logs[log.origin] = keys
    return logs


def key_of(settings: WitnessSettings) -> LogSigner:
    """The witness's key, made on the first start only.

    A key whose state is gone must not sign again: it would cosign a fork of what it cosigned before.
    """
    key, state = Path(settings.key), Path(settings.state)
    if key.exists() and not state.is_dir():
        raise ConfigError("state", f"is missing, but {key} exists: bring the state back, or make a new key", str(state))
    if not key.exists() and (state / "witness.vkey").exists():
        raise ConfigError("key", f"is missing, but {state} belongs to one", str(key))
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return signing_key(key, create=True)


def opened(settings: WitnessSettings) -> Witness:
    """The witness over its key and state, alone on it; ConfigError where another process has it."""
    signer = key_of(settings)
    descriptor = os.open(Path(settings.state) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until the process ends
    except BlockingIOError as taken:
        os.close(descriptor)
        raise ConfigError("state", "another witness runs on it", settings.state) from taken
    witness = Witness((settings.name, signer), pinned(settings), Path(settings.state), SystemClock(), Disk())
    witness.open()
    return witness


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The witness's own configuration file.")
@click.option("--vkey", is_flag=True, help="Print the witness's verifier key (making it on first use), and end.")
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input does.")
def witness(config: str, *, vkey: bool, with_parent: bool) -> None:
    """Cosign other people's logs until SIGTERM or SIGINT; refuse and keep what is a fork or a rollback."""
    settings = load(Path(config))
    if vkey:
        click.echo(str(WitnessKey(settings.name, key_of(settings).public)))
        return
    set_up_logs(settings.level)
    asyncio.run(_serve(settings, with_parent=with_parent))


def _end_with_input(stop: asyncio.Event) -> None:
    if not os.read(0, 1):
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


async def _serve(settings: WitnessSettings, *, with_parent: bool) -> None:
    stop = asyncio.Event()
    if with_parent:
        asyncio.get_running_loop().add_reader(0, _end_with_input, stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    found = opened(settings)
    server = WitnessServer(found)
    port = await server.open(settings.host, settings.port)
    address = f"http://{settings.host}:{port}/"
    logs = [log.origin for log in settings.log]
    structlog.get_logger().info("witness_started", address=address, vkey=str(found.key), logs=logs)
    try:
        await stop.wait()
    finally:
        await server.close()
    structlog.get_logger().info("witness_stopped", **found.counts)
