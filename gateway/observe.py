"""Logs and metrics, set up here and nowhere else."""

from __future__ import annotations

import atexit
import contextlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.domain.time import Instant

LogFormat = Literal["json", "console"]
LINES_WAITING = 10_000
Counts = Mapping[str, float]


class Lines:
    """A stream that never holds up who writes: a thread hands lines on, and what is too much is dropped and counted.

    Whoever reads our standard error may stall (a full pipe, a journal out of order); an emergency must not wait for it.
    """

    def __init__(self, stream: Callable[[], TextIO], most: int = LINES_WAITING) -> None:
        """Name the stream, asked for anew for each line; the thread begins with the first."""
        self._stream = stream
        self._waiting: queue.Queue[str] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._dropped = 0

    def write(self, text: str) -> int:
        """Hand over a line; never waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
            atexit.register(self.drain)
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread does."""

    def drain(self, patience_s: float = 2.0) -> None:
        """Wait until all is written, but not for long."""
        until_s = time.monotonic() + patience_s
        while self._waiting.unfinished_tasks and time.monotonic() < until_s:
            time.sleep(0.005)

    def _run(self) -> None:
        while True:
            text = self._waiting.get()
            dropped, self._dropped = self._dropped, 0
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream = self._stream()
                stream.write(f"{dropped} lines of this log were dropped\n{text}" if dropped else text)
                stream.flush()
            self._waiting.task_done()


_to_stderr = Lines(lambda: sys.stderr)


def set_up_logs(level: str = "info", form: LogFormat = "json", stream: TextIO | Lines | None = None) -> None:
    """Log to a stream (standard error), one JSON object (or coloured line) an event."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream or _to_stderr),  # type: ignore[arg-type]  # write and flush
        cache_logger_on_first_use=False,
    )


class SystemClock:
    """The host's clocks; a step of the wall clock above one second is logged."""

    def __init__(self, wall: Callable[[], float] = time.time, mono: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._mono = wall, mono
        self._offset_s: float | None = None
        self.steps = 0

    def now(self) -> Instant:
        """This moment on both clocks."""
        mono_s, wall_s = self._mono(), self._wall()
        offset_s = wall_s - mono_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) > 1.0:
            self.steps += 1
            structlog.get_logger().warning("clock_step", seconds=round(offset_s - self._offset_s, 3))
        self._offset_s = offset_s
        return Instant(mono_s, datetime.fromtimestamp(wall_s, UTC))


class Gauges(Collector):
    """Every part's plain counters as `lapel_<part>_<name>`, read at scrape time."""

    def __init__(self) -> None:
        self._parts: dict[str, Callable[[], Counts]] = {}

    def add(self, part: str, counts: Callable[[], Counts]) -> None:
        """Read `counts()` at each scrape under the name of the part."""
        self._parts[part] = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge a counter (Prometheus collector protocol)."""
        for part, counts in self._parts.items():
            for name, number in counts().items():
                yield GaugeMetricFamily(f"lapel_{_name(part)}_{_name(name)}", f"{part}: {name}", value=float(number))


class Inputs(Collector):
    """Health of every input: `lapel_input_up{input=…}` and its counters."""

    def __init__(self, rows: Callable[[], Iterable[tuple[str, bool, Counts]]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample an input (Prometheus collector protocol)."""
        up = GaugeMetricFamily("lapel_input_up", "1 while the input is up", labels=["input"])
        counters = GaugeMetricFamily("lapel_input_count", "counters of an input", labels=["input", "counter"])
        for name, is_up, counts in self._rows():
            up.add_metric([name], float(is_up))
            for counter, number in counts.items():
                counters.add_metric([name, counter], float(number))
        yield up
        yield counters


class Metrics:
    """One registry a gateway, so that two in a process do not share."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gauges = Gauges()
        self.registry.register(self.gauges)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)


def _name(text: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in text).lower()
