"""The whole way: a film is uploaded, sealed, examined, shown and verified; and nothing hostile stops the next one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import ExhibitId
from gateway.evidence.verify.store import verify_store
from gateway.media.examination import Tools
from tests.api.site import Site
from tests.cli.conftest import outside

PATIENCE_S = 60


def examined(site: Site, exhibit: str) -> Any:
    """The exhibit, once somebody has looked at its master."""
    catalogue = site.gateway.evidence.records.catalogue  # type: ignore[union-attr]
    ends_s = time.monotonic() + PATIENCE_S
    while (row := catalogue.exhibit(exhibit)).playable is None:
        assert time.monotonic() < ends_s, "not examined"
        time.sleep(0.05)
    return row


def test_from_camera_to_picture(tmp_path: Path, tools: Tools, film_at_front: bytes) -> None:
    """Facts and thumbnail of a real film; another after a cut; the store verifies; a restart examines nothing twice."""
    with Site(tmp_path, media={"enabled": True}) as site:
        whole = site.seal(film_at_front, "whole")
        row = examined(site, whole.exhibit)
        assert (row.playable, row.container, row.codecs) == ("playable", "mp4", ("h264", "aac"))
        assert row.duration_s == pytest.approx(12, abs=0.1)
        chain = site.gateway.evidence.records.catalogue.custody(whole.exhibit)  # type: ignore[union-attr]
        assert [(each.kind, each.actor) for each in chain] == [
            ("receive", "system"),
            ("seal", "system"),
            ("derive", "system"),
        ]
        assert whole.log_index == row.log_index
        leaf = json.loads(site.gateway.evidence.records.custody.leaf(chain[2].log_index))  # type: ignore[union-attr]
        assert set(leaf) - set(json.loads(site.gateway.evidence.records.custody.leaf(row.log_index))) == {  # type: ignore[union-attr]
            "what",
            "thumbnail",
        }
        with site.client(site.token()) as client:
            still = client.get(f"/v1/exhibits/{whole.exhibit}/thumbnail")
            assert still.content.startswith(b"\xff\xd8\xff")
            metrics = client.get("/metrics").text
            assert "lapel_media_examined 1.0" in metrics
            assert "lapel_media_playable 1.0" in metrics
            assert client.get("/ready").json()["parts"]["media"] == "ok"
        cut = site.seal(film_at_front[: len(film_at_front) * 7 // 10], "cut")
        assert examined(site, cut.exhibit).playable == "partial"
    report = verify_store(site.data / "evidence", site.data / "keys")
    assert report.ok, report
    assert report.counts["thumbnails"] == 2
    size = report.checkpoint["size"]  # type: ignore[index]
    with Site(tmp_path, media={"enabled": True}) as again:
        time.sleep(2.5)
        assert again.gateway.evidence.records.custody.size == size  # type: ignore[union-attr]
    shown = outside("evidence", "show", whole.exhibit, "--data", site.data)
    assert "playable  playable" in shown.out
    assert "h264" in shown.out


def test_caught_up_after_a_restart(tmp_path: Path, tools: Tools, film_at_front: bytes) -> None:
    """Sealed while nobody examined, examined when somebody does."""
    with Site(tmp_path) as site:
        sealed = site.seal(film_at_front, "earlier")
        assert "media" not in site.gateway.parts()
    with Site(tmp_path, media={"enabled": True}) as site:
        assert examined(site, sealed.exhibit).playable == "playable"


def test_hostile_films_stop_nothing(tmp_path: Path, stand_in: Callable[[str], str], film_at_front: bytes) -> None:
    """A prober that hangs on every file: uploads seal at once, each says why it was not examined, the gateway stops."""
    path = stand_in('case "$*" in *-version*) echo ffprobe version 9;; *) while :; do read x </dev/null; done;; esac')
    with Site(tmp_path, media={"enabled": True, "ffprobe": path, "ffmpeg": path, "seconds": 1.0}) as site:
        began_s = time.monotonic()
        sealed = [site.seal(film_at_front[:100_000] + bytes([number]), f"film-{number}") for number in range(3)]
        assert time.monotonic() - began_s < 5
        for each in sealed:
            row = examined(site, each.exhibit)
            assert (row.playable, row.media_reason, row.thumbnail) == ("not_examined", "time_limit", None)
        reader = site.gateway.evidence.records.reader  # type: ignore[union-attr]
        assert b"".join(reader.read(ExhibitId(sealed[0].exhibit)))[:100_000] == film_at_front[:100_000]
        site.seal(b"one more, while the gateway is told to stop", "last")
    assert verify_store(site.data / "evidence", site.data / "keys").ok
