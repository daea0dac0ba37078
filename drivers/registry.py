"""Which module drives which kind: one line a device; others by the entry point group `lapel.drivers`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

import msgspec

from gateway.errors import ConfigError
from gateway.ports import Driver, DriverContext

KINDS = {
    "tetra": "drivers.tetra.driver",
    "beacon": "drivers.beacon.driver",
    "camera": "drivers.camera.driver",
}


def kinds() -> list[str]:
    """Every kind that can stand in a [[driver]] section."""
    return sorted({*KINDS, *(point.name for point in entry_points(group="lapel.drivers"))})


def _module(kind: str) -> Any:  # noqa: ANN401 - a module found by name
    for point in entry_points(group="lapel.drivers", name=kind):
        return point.load()
    return import_module(KINDS[kind])


def settings_type(kind: str) -> type[msgspec.Struct]:
    """The closed Settings struct of a kind; ConfigError for a kind nobody drives."""
    if kind not in kinds():
        raise ConfigError("driver.kind", f"no driver for {kind!r}; there are {', '.join(kinds())}")
    return cast("type[msgspec.Struct]", _module(kind).Settings)


def build(kind: str, settings: msgspec.Struct, context: DriverContext) -> Driver:
    """Make the driver of a kind; nothing is opened yet."""
    return cast("Driver", _module(kind).build(settings, context))
