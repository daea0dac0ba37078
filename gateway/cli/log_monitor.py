"""`lapel log monitor -c FILE`: reads other people's logs and remembers; a process of its own that writes to no log."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

import click
import msgspec
import structlog

from gateway.errors import ConfigError, VerificationError
from gateway.evidence.log.disk import Disk
from gateway.evidence.monitor.look import Alarm, Witnesses
from gateway.evidence.settings import Closed, Name, Natural, Positive, Seconds
from gateway.evidence.verify.cosignatures import parse_witness
from gateway.evidence.verify.notes import parse_vkey
from gateway.monitoring import Monitor, Watched
from gateway.observe import Metrics, SystemClock, set_up_logs
from gateway.outlets.log_tiles import DirectoryLog, HttpLog
from gateway.settings import closed

FAILED, INTEGRITY = 1, 3
HOOK_S = 30.0


class MonitoredWitness(Closed, frozen=True):
    """[[log.witness]]: a witness of a log, and who runs it."""

    vkey: str
    operator: Name


class MonitoredLog(Closed, frozen=True):
    """[[log]]: a log, the keys it is known by, and where it is read: at an address, or in a directory."""

    name: Name
    vkey: list[str]
    url: str | None = None
    token_file: str | None = None
    token_env: str | None = None
    directory: str | None = None
    catalogue: bool = False
    witness_quorum: Natural = 0
    witness_patience_s: Seconds = 300.0
    witness: list[MonitoredWitness] = msgspec.field(default_factory=list)


class MonitorSettings(Closed, frozen=True):
    """The monitor's file."""

    log: list[MonitoredLog]
    state: str = "monitor"
    every_s: Positive = 60
    hook: list[str] = msgspec.field(default_factory=list)
    metrics_file: str | None = None
    level: Literal["debug", "info", "warning", "error"] = "info"


def load(file: Path) -> MonitorSettings:
    """Read the file; ConfigError names file, key and what is wrong."""
    try:
        found = closed(MonitorSettings, tomllib.loads(file.read_text("utf-8")), "")
        _named_once(found)
    except OSError as wrong:
        raise ConfigError("", f"cannot be read: {wrong.strerror}", str(file)) from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ConfigError("", f"is not TOML: {wrong}", str(file)) from wrong
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, str(file)) from wrong
    return found


def _named_once(settings: MonitorSettings) -> None:
    names = [log.name for log in settings.log]
    if not names or len(set(names)) < len(names):
        raise ConfigError("log", "name at least one log, and each once")


def watched(log: MonitoredLog, folder: Path, key: str) -> Watched:
    """A log as it is looked at; ConfigError names the key that is wrong."""
    if (log.url is None) == (log.directory is None):
        raise ConfigError(key, "give either url or directory")
    if log.catalogue and log.directory is None:
        raise ConfigError(f"{key}.catalogue", "can be compared only where the directory is given")
    try:
        keys = tuple(parse_vkey(text.encode(), f"{key}.vkey") for text in log.vkey)
        known = tuple((each.operator, parse_witness(each.vkey, f"{key}.witness")) for each in log.witness)
    except VerificationError as wrong:
        raise ConfigError(wrong.path, f"expected {wrong.expected}, found {wrong.found}") from wrong
    if not keys:
        raise ConfigError(f"{key}.vkey", "name the key that the log is known by")
    if log.witness_quorum > len({operator for operator, _ in known}):
        raise ConfigError(f"{key}.witness_quorum", "is more than there are operators")
    witnesses = Witnesses(known, log.witness_quorum, log.witness_patience_s)
    if log.directory is not None:
        top = folder / log.directory
        beside = top.parent / "evidence.db" if log.catalogue else None
        return Watched(log.name, keys, witnesses, DirectoryLog(top), beside)
    return Watched(log.name, keys, witnesses, HttpLog(str(log.url), _token(log, folder, key)))


def _token(log: MonitoredLog, folder: Path, key: str) -> str | None:
    """The bearer token, from a file or the environment."""
    if log.token_file is not None:
        try:
            return (folder / log.token_file).read_text("utf-8").strip()
        except OSError as wrong:
            raise ConfigError(f"{key}.token_file", f"cannot be read: {wrong.strerror}") from wrong
    if log.token_env is not None:
        if log.token_env not in os.environ:
            raise ConfigError(f"{key}.token_env", f"{log.token_env} is not set")
        return os.environ[log.token_env]
    return None


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The monitor's own configuration file.")
@click.option("--once", is_flag=True, help="One look at each log; exit 0 all is well, 1 not reached, 3 integrity.")
def monitor(config: str, *, once: bool) -> None:
    """Look at logs until SIGTERM or SIGINT: each checkpoint must extend the last, each new entry be what is signed."""
    file = Path(config)
    settings = load(file)
    folder = file.resolve().parent
    try:
        logs = [watched(log, folder, f"log[{number}]") for number, log in enumerate(settings.log)]
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, config) from wrong
    set_up_logs(settings.level)
    sys.exit(asyncio.run(_run(settings, logs, folder, once=once)))


async def _run(settings: MonitorSettings, logs: list[Watched], folder: Path, *, once: bool) -> int:
    state = folder / settings.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(os.close, _claimed(state))
        looking = Monitor(state, SystemClock(), lambda told: _call(settings.hook, told))
        looking.open()
        stack.callback(looking.close)
        for log in logs:
            await log.source.open()
            stack.push_async_callback(log.source.close)

        async def look() -> list[Alarm]:
            alarms = [alarm for log in logs for alarm in await looking.look(log)]
            _write_metrics(settings, folder, looking)
            return alarms

        if once:
            return _code(await look())
        await _until_stopped(look, settings.every_s)
        return 0


async def _until_stopped(look: Callable[[], Awaitable[object]], every_s: int) -> None:
    """Look again and again, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def keep_looking() -> None:
        while True:
            await look()
            await asyncio.sleep(every_s)

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(keep_looking())
        await stop.wait()
        looking.cancel()


def _claimed(state: Path) -> int:
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        os.close(descriptor)
        raise ConfigError("state", "another monitor runs on it", str(state)) from taken
    return descriptor


def _code(alarms: list[Alarm]) -> int:
    if any(alarm.integrity for alarm in alarms):
        return INTEGRITY
    return FAILED if alarms else 0


def _call(hook: list[str], told: Mapping[str, object]) -> None:
    """Run the hook with the alarm on its standard input; one that fails is said, and stops nothing."""
    if not hook:
        return
    try:
        subprocess.run(hook, input=json.dumps(told).encode(), timeout=HOOK_S, check=True)  # noqa: S603 - as configured
    except (OSError, subprocess.SubprocessError) as problem:
        structlog.get_logger().error("hook_failed", hook=hook[0], problem=str(problem))


def _write_metrics(settings: MonitorSettings, folder: Path, looking: Monitor) -> None:
    """For a node exporter's textfile collector; replaced whole."""
    if settings.metrics_file is None:
        return
    metrics = Metrics()
    for name, figures in looking.figures.items():
        metrics.gauges.add(f"monitor_{name}", lambda figures=figures: figures)  # type: ignore[misc]  # bound now
    try:
        Disk().replace(folder / settings.metrics_file, metrics.exposition())
    except OSError as problem:
        structlog.get_logger().error("metrics_not_written", problem=str(problem))
