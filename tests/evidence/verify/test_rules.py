"""A rule in force that nobody proposed, that is not as proposed, or that one person brought in alone, is found."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.evidence import Act
from gateway.evidence.settings import RetentionSection
from gateway.evidence.verify.store import verify_store
from gateway.evidence.work.terms import Rule
from tests.evidence.work.lab import ANN, BOB, WorkLab, work_lab

MINOR = Rule(category="complaint", days=90)


def change(lab: WorkLab, **said: Any) -> int:
    """A rule changed as it should be, then an approval written past the desk; the version."""
    proposal, _ = asyncio.run(lab.rules.propose(ANN, MINOR, "policy"))
    version = proposal.rule.version
    facts = {**proposal.rule.facts(), "approved": True, **said.pop("facts", {})}
    detail = {"proposer": "ann", "proposer_person": "P-1", "approver": "bob", "approver_person": "P-2", **said}
    asyncio.run(lab.log.record_many([Act("rule_change", "bob", None, facts, detail)]))
    return version


def found(lab: WorkLab) -> list[str]:
    """What the verifier expects and does not find."""
    report = verify_store(lab.lab.evidence, lab.lab.directory / "keys")
    return [each.expected for each in report.findings if each.expected != "a fact blob"]


def test_two_people(tmp_path: Path) -> None:
    """Rules of the configuration, a change by two, one more of another controller: nothing differs."""
    with work_lab(tmp_path, RetentionSection()) as lab:
        for rule in (MINOR, Rule(category="complaint", controller="PCC", days=3)):
            proposal, _ = asyncio.run(lab.rules.propose(ANN, rule, "policy"))
            asyncio.run(lab.rules.approve(BOB, "complaint", proposal.rule.version, "agreed"))
        change(lab)
        assert found(lab) == []
        report = verify_store(lab.lab.evidence, lab.lab.directory / "keys")
    assert report.counts["rules"] == 5 + 3


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"approver": "ann"}, "an approver who is not the proposer"),
        ({"approver": None}, "an approver who is not the proposer"),
        ({"approver_person": "P-1"}, "an approver who is not the proposer"),
        ({"proposer": "carl"}, "proposer ann as in log entry 5"),
        ({"facts": {"days": 1}}, "the rule that log entry 5 proposed"),
        ({"facts": {"applies": True}}, "the rule that log entry 5 proposed"),
        ({"facts": {"version": 9}}, "a proposal of this rule in an earlier entry"),
    ],
)
def test_one_person(tmp_path: Path, said: dict[str, Any], expected: str) -> None:
    """Each is found, and what should have been there is said."""
    with work_lab(tmp_path, RetentionSection()) as lab:
        change(lab, **said)
        assert found(lab) == [expected]


def test_an_old_rule_again(tmp_path: Path) -> None:
    """Written by a process that had not looked: without effect, and no fault where it is the configuration's."""
    with work_lab(tmp_path, RetentionSection()) as lab:
        change(lab)
        old = Rule(category="complaint", review_days=365, required=("reference",))
        again = Act("rule_change", "system", None, {**old.facts(), "approved": True}, {"proposer": "configuration"})
        asyncio.run(lab.log.record_many([again]))
        assert found(lab) == []
        assert asyncio.run(lab.rules.rules())[0][0].days == 90
        asyncio.run(lab.log.record_many([Act("rule_change", "eve", None, again.facts, {"proposer": "eve"})]))
        assert found(lab) == ["a proposal of this rule in an earlier entry"]
