"""[retention]: categories and decisions as tables of the file, what is wrong with one named by its key."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.evidence.work.terms import Rule
from gateway.settings import parse
from gateway.working import tables


def test_what_the_file_says() -> None:
    """Tables of the file replace the built-in ones; the uncategorised rule is always there."""
    category = [{"name": "theft", "days": 9, "required": ["incident"]}, {"name": "theft", "controller": "A", "days": 1}]
    raw: dict[str, Any] = {"retention": {"uncategorised_days": 40, "due_grace_days": 3, "category": category}}
    raw["retention"]["decision"] = [{"name": "keep", "review_days": 5}]
    found = tables(parse(raw).retention)
    assert found.rules == (
        Rule(category="uncategorised", days=40),
        Rule(category="theft", days=9, required=("incident",)),
        Rule(category="theft", controller="A", days=1),
    )
    assert (found.grace_days, [each.name for each in found.decisions]) == (3, ["keep"])


def test_what_is_built_in() -> None:
    """31 days is a default, and every category and decision leads somewhere."""
    found = tables(parse({}).retention)
    assert found.rules[0] == Rule(category="uncategorised", days=31)
    assert len(found.rules) > 3
    assert all(each.days is not None or each.review_days is not None for each in (*found.rules, *found.decisions))


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"category": [{"name": "a", "days": 1}, {"name": "a", "days": 2}]}, "retention.category[1].name"),
        ({"category": [{"name": "uncategorised", "days": 1}]}, "retention.category[0].name"),
        ({"category": [{"name": "a"}]}, "retention.category[0].review_days"),
        ({"category": [{"name": "a", "days": -1}]}, "retention.category[0].days"),
        ({"category": [{"name": "a/b", "days": 1}]}, "retention.category[0].name"),
        ({"category": [{"name": "a", "day": 1}]}, "retention.category[0]"),
        ({"decision": [{"name": "a", "days": 1}, {"name": "a", "days": 2}]}, "retention.decision[1].name"),
        ({"decision": [{"name": "a"}]}, "retention.decision[0].review_days"),
        ({"grace_days": -1}, "retention.grace_days"),
    ],
)
def test_what_cannot_be(section: dict, key: str) -> None:
    """The key is named."""
    with pytest.raises(ConfigError) as wrong:
        parse({"retention": section})
    assert wrong.value.key == key
