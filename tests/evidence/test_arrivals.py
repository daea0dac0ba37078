"""What a seal's entry says of a recording's number, gaps, dock, and what it describes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.evidence.arrivals import arrival_of
from gateway.evidence.rows import Exhibit

AT = datetime(2026, 11, 21, 21, 8, 2, tzinfo=UTC)
ROW = Exhibit(id="X-1", device="cam-1", recording="0017", name="0017.mp4", sealed_at=AT, complete=True, log_index=9)


def manifest(said: object) -> str:
    """A device manifest as the detail keeps it: base64 of the compact JWS."""
    part = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    return base64.b64encode(f"e30.{part}.sig".encode()).decode()


@pytest.mark.parametrize(
    ("detail", "n"),
    [
        ({"user_data": {"n": 17}}, 17),
        ({"user_data": {"n": "17"}}, None),
        ({"user_data": {"n": -1}}, None),
        ({"user_data": [], "device_manifest": manifest({"n": 18}), "manifest": {"n": 18}}, 18),
        ({"device_signature": "invalid", "device_manifest": manifest({"n": 18})}, None),
        ({"manifest": [1]}, None),
        ({"manifest": {"n": True}}, None),
        ({"manifest": {"prev": "x"}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_its_number(detail: dict[str, Any] | None, n: int | None) -> None:
    """From user_data, else from a manifest that was judged valid; anything else is none."""
    assert arrival_of(ROW, detail, None).n == n


def test_gaps_and_dock() -> None:
    """Missing ranges as the seal tells of them; the dock from the seal or from what was offered."""
    found = arrival_of(ROW, {"missing": [[1, 2], [5, 9]]}, {"offer": {"via": "dock-1"}})
    assert (found.missing, found.via, found.complete) == (((1, 2), (5, 9)), "dock-1", True)
    assert arrival_of(ROW, {"via": "dock-2"}, {"offer": {"via": "dock-1"}}).via == "dock-2"
    assert arrival_of(ROW, {}, None).via is None


@pytest.mark.parametrize(
    ("name", "extra", "described"),
    [
        ("20220823_114706_0017_B8A44F_gpstrail.json", {}, "0017"),
        ("20220823_114706_a_b_c_B8A44F_GPSTRAIL.json", {}, "a_b_c"),
        ("film.mp4", {"sidecar_of": "0016"}, "0016"),
        ("film.mp4", {"sidecar_of": 16}, None),
        ("gpstrail.json", {}, None),
    ],
)
def test_what_it_describes(name: str, extra: dict[str, Any], described: str | None) -> None:
    """It says so, or its name does."""
    row = Exhibit(id="X-1", device="cam-1", recording="r", name=name, sealed_at=AT)
    assert arrival_of(row, {"user_data": extra}, None).sidecar_of == described
