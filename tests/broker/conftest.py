"""Clients of a real broker."""

from __future__ import annotations

import pytest

from tests.site import Peer


@pytest.fixture
def clients():
    """Clients, closed at the end."""
    made = []

    def peer(address, **words) -> Peer:
        made.append(Peer(address, **words))
        assert made[-1].up()
        return made[-1]

    yield peer
    for each in made:
        each.close()
