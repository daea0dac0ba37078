"""A gateway with one kind of driver alone starts, and shows only what is configured."""

from __future__ import annotations

import asyncio
import os
import pty
from pathlib import Path

import pytest

from gateway import settings as configuration
from gateway.app import Gateway, driver_settings, serve
from tests.drivers.links.rig import free_port


async def started(raw: dict) -> dict[str, str]:
    """Parts of a gateway on this configuration, once it runs."""
    settings = configuration.parse(raw)
    stop, gateways = asyncio.Event(), asyncio.Queue[Gateway]()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(serve(settings, driver_settings(settings), stop, gateways.put_nowait))
        gateway = await gateways.get()
        while any(health.state != "up" for name, health in gateway.inputs().items() if name != "radio"):
            await asyncio.sleep(0.05)
        parts = gateway.parts()
        stop.set()
    return parts


def configured(folder: Path, driver: dict, **sections: dict) -> dict:
    """One driver on a fresh store."""
    return {"gateway": {"data": str(folder / "data")}, "driver": [driver], "api": {"port": 0}, **sections}


async def test_radios_alone_need_no_broker(tmp_path: Path) -> None:
    """A terminal on a pseudo-terminal, nothing else."""
    controller, line = pty.openpty()
    driver = {"kind": "tetra", "name": "radio", "port": os.ttyname(line)}
    parts = await started(configured(tmp_path, driver))
    os.close(line)
    os.close(controller)
    assert parts["feed"] == parts["evidence"] == "ok"


@pytest.mark.parametrize("kind", ["beacon", "camera"])
async def test_each_mqtt_kind_alone(tmp_path: Path, kind: str) -> None:
    """Over the embedded broker."""
    broker = {"embedded": True, "port": free_port()}
    parts = await started(configured(tmp_path, {"kind": kind, "name": kind}, broker=broker))
    assert parts["inputs"] == "ok"


async def test_a_feed_without_evidence(tmp_path: Path) -> None:
    """[evidence] enabled = false: that part is not there at all."""
    broker = {"embedded": True, "port": free_port()}
    raw = configured(tmp_path, {"kind": "beacon", "name": "b"}, broker=broker, evidence={"enabled": False})
    parts = await started(raw)
    assert "evidence" not in parts
    assert not (tmp_path / "data" / "evidence").exists()


async def test_no_driver_at_all(tmp_path: Path) -> None:
    """An instance that only serves what it has."""
    raw = {"gateway": {"data": str(tmp_path / "data")}, "api": {"port": 0}}
    assert "inputs" not in await started(raw)
