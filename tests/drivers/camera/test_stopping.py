"""Connections that go at the very moment the driver is stopped: nothing is started again, nothing hangs."""

from __future__ import annotations

import asyncio

import pytest

from drivers.camera.driver import Settings, build
from gateway.errors import LinkError
from gateway.ports import BrokerAddress, DriverContext
from tests.drivers.camera.sink import Sink
from tests.drivers.links.rig import Intake, StillClock


async def test_a_broker_that_takes_both_connections_ends_the_driver(monkeypatch):
    """The footage's fault comes in the place of its cancellation: the driver ends all the same, to be started anew."""
    driver = build(Settings(), DriverContext("cams", StillClock(), Intake(), Sink(), BrokerAddress("127.0.0.1", 1)))
    begun: list[str] = []

    async def footage_goes() -> None:
        begun.append("footage")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LinkError("the broker closed the connection") from None

    async def telemetry_goes() -> None:
        await asyncio.sleep(0.01)
        raise LinkError("the broker closed the connection")

    monkeypatch.setattr(driver.footage, "run", footage_goes)
    monkeypatch.setattr(driver._telemetry, "run", telemetry_goes)
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(2):
            await driver.run()
    assert raised.group_contains(LinkError)
    assert begun == ["footage"]
