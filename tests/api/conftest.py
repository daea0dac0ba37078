"""Gateways for these tests: one that many share, and fresh ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.site import Site
from tests.feed.squares import feature, file_of, square


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One gateway for the tests of a module, with a zone."""
    root = tmp_path_factory.mktemp("site")
    (root / "zones.geojson").write_bytes(file_of(feature(square(-0.3, 52.5, -0.2, 52.6))))
    with Site(root, map={"zones": str(root / "zones.geojson")}) as site:
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway of one's own."""
    with Site(tmp_path) as opened:
        yield opened
