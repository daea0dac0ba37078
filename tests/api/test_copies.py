"""Copies over HTTP: n of N on each exhibit, the places, what a place away makes of the health of the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.evidence.copies import copies as module
from tests.api.site import Site, noise

FILM = noise(300_000)


def until(condition: Callable[[], object]) -> None:
    """Wait, but not for ever."""
    ends_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A second place, empty."""
    (tmp_path / "second").mkdir()
    return tmp_path / "second"


@pytest.fixture
def site(tmp_path: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A gateway that wants two copies."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(module, "COUNT_EVERY_S", 0.05)
    with Site(tmp_path / "site", store={"copies": 2, "copy_to": [str(second)]}) as site:
        yield site


def test_counted_on_each_exhibit_and_in_the_whole(site: Site, second: Path) -> None:
    """From 1 of 2 to 2 of 2; the place; metrics."""
    sealed = site.seal(FILM)
    assert (sealed.receipt["copies"], sealed.receipt["keep_until"]) == (1, "9999-12-31T23:59:59Z")
    with site.client(site.token()) as client:
        one = lambda: client.get(f"/v1/exhibits/{sealed.exhibit}").json()  # noqa: E731
        until(lambda: one()["copies"] == 2)
        assert one()["copies_wanted"] == 2
        page = client.get("/v1/exhibits").json()["exhibits"]
        assert [(row["copies"], row["copies_wanted"]) for row in page] == [(2, 2)]
        until(lambda: client.get("/v1/copies").json()["places"][0]["state"] == "ok")
        told = client.get("/v1/copies").json()
        assert (told["wanted"], told["short"], told["places"][0]["path"]) == (2, 0, str(second))
        chain = client.get(f"/v1/exhibits/{sealed.exhibit}/custody").json()["custody"]
        assert [each["kind"] for each in chain if each["kind"] == "copy_verified"] == ["copy_verified"]
        until(lambda: "lapel_copies_places_up 1.0" in client.get("/metrics").text)
        assert "lapel_copies_short 0.0" in client.get("/metrics").text
        assert client.get("/ready/evidence").json()["parts"]["copies"] == "ok"


def test_a_place_away_degrades_and_stops_nobody(site: Site, second: Path) -> None:
    """Ready says so, footage is sealed, and what came meanwhile is caught up."""
    away = second.with_name("away")
    with site.client(site.token()) as client:
        until(lambda: client.get("/v1/copies").json()["places"][0]["state"] == "ok")
        second.rename(away)
        until(lambda: client.get("/ready").json()["parts"]["copies"] == "degraded")
        assert client.get("/ready").status_code == 200
        sealed = site.seal(FILM)
        place = client.get("/v1/copies").json()["places"][0]
        assert (place["state"], "not there" in place["problem"]) == ("away", True)
        away.rename(second)
        until(lambda: client.get(f"/v1/exhibits/{sealed.exhibit}").json()["copies"] == 2)
        until(lambda: client.get("/ready").json()["parts"]["copies"] == "ok")


def test_a_gateway_without_second_places(tmp_path: Path) -> None:
    """One copy of one; no part of that name."""
    with Site(tmp_path) as site, site.client(site.token()) as client:
        sealed = site.seal(FILM)
        row = client.get(f"/v1/exhibits/{sealed.exhibit}").json()
        assert (row["copies"], row["copies_wanted"]) == (1, 1)
        assert client.get("/v1/copies").json() == {"v": 1, "wanted": 1, "short": 0, "places": []}
        assert "copies" not in client.get("/ready").json()["parts"]
