"""Logs and metrics."""

from __future__ import annotations

import io
import json
import os
import threading
import time

import structlog
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe import Inputs, Lines, Metrics, SystemClock, set_up_logs


def test_logs_are_json_lines_with_time_and_level() -> None:
    """One object an event."""
    stream = io.StringIO()
    set_up_logs("info", "json", stream)
    structlog.get_logger().info("sealed", exhibit="X-1")
    structlog.get_logger().debug("not shown")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["exhibit"], said["level"]) == ("sealed", "X-1", "info")
    assert said["timestamp"].endswith("Z")


def test_a_console_log_is_for_people() -> None:
    """No JSON there."""
    stream = io.StringIO()
    set_up_logs("info", "console", stream)
    structlog.get_logger().warning("input_down", problem="cable out")
    assert "input_down" in stream.getvalue()
    assert "cable out" in stream.getvalue()
    set_up_logs()


def test_metrics_are_read_by_somebody_elses_parser() -> None:
    """The exposition is Prometheus text; two registries do not share."""
    metrics = Metrics()
    metrics.gauges.add("intake", lambda: {"frames": 3, "positions_lip": 2})
    metrics.registry.register(Inputs(lambda: [("terminal-1", True, {"frames": 3}), ("beacons", False, {})]))
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert families["lapel_intake_frames"].samples[0].value == 3
    up = {sample.labels["input"]: sample.value for sample in families["lapel_input_up"].samples}
    assert up == {"terminal-1": 1, "beacons": 0}
    assert b"lapel_intake" not in Metrics().exposition()


def test_a_step_of_the_wall_clock_is_counted() -> None:
    """More than one second against the monotonic clock; drift below is not a step."""
    wall, mono = iter([100.0, 101.0, 102.5, 105.0]), iter([0.0, 1.0, 2.0, 3.0])
    clock = SystemClock(lambda: next(wall), lambda: next(mono))
    for _ in range(4):
        now = clock.now()
    assert clock.steps == 1
    assert now.mono_s == 3.0
    assert now.utc.timestamp() == 105.0


def test_a_reader_who_stalls_holds_up_nobody() -> None:
    """A pipe that is full: who logs goes on at once, and the loss is said once it is read again."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        lines = Lines(lambda: stream, most=100)
        set_up_logs("info", "json", lines)
        began = time.monotonic()
        for number in range(5_000):
            structlog.get_logger().info("flood", number=number, padding="x" * 100)
        assert time.monotonic() - began < 5
        with os.fdopen(reading) as reader:
            said = ""
            while "were dropped" not in said:
                said += os.read(reader.fileno(), 1 << 16).decode()
            thread = threading.Thread(target=reader.read, daemon=True)
            thread.start()
            lines.drain()
            assert not lines._waiting.unfinished_tasks
            stream.close()
            thread.join(5)
    set_up_logs()
