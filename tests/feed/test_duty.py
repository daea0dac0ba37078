"""Status codes."""

from __future__ import annotations

import pytest

from gateway.feed.duty import MESSAGES, STATES, code_of


def test_the_states_are_the_published_list() -> None:
    """0 to 11 are states, 12 to 16 messages."""
    assert STATES[2] == "available"
    assert STATES[7] == "committed_deployable"
    assert STATES[11] == "off_duty"
    assert sorted(MESSAGES) == [12, 13, 14, 15, 16]


@pytest.mark.parametrize(
    ("text", "code"),
    [("available", 2), ("2", 2), ("11", 11), ("12", None), ("²", None), ("", None), ("AVAILABLE", None)],
)
def test_names_and_numbers(text, code) -> None:
    """Both are understood, and nothing else."""
    assert code_of(text) == code
