"""Retention rules in the log: each that is in force was proposed by one person and approved by another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report, shown

CONFIGURATION = "configuration"
_NOT_THE_RULE = frozenset({"v", "kind", "at", "build", "hmac", "approved"})
Found = Mapping[str, Mapping[str, Any]]


def check_rules(leaves: Iterable[Leaf], found: Found, report: Report) -> None:
    """Every `rule_change` on no exhibit that says `approved`; found gives details by their HMAC, where they opened."""
    check = _Rules(found, report)
    for leaf in sorted(leaves, key=lambda each: each.index):
        if leaf.kind == "rule_change" and leaf.exhibit is None and isinstance(leaf.facts.get("approved"), bool):
            check.take(leaf)


class _Rules:
    """The proposals so far, and the highest version of each category that two people brought into force."""

    def __init__(self, found: Found, report: Report) -> None:
        self._found, self._report = found, report
        self._proposed: dict[tuple[str, str], Leaf] = {}
        self._in_force: dict[str, int] = {}

    def take(self, leaf: Leaf) -> None:
        category, version = str(leaf.facts.get("category")), leaf.facts.get("version")
        key = (category, str(version))
        if not leaf.facts["approved"]:
            self._proposed.setdefault(key, leaf)
            return
        self._report.count("rules")
        proposal = self._proposed.get(key)
        if proposal is not None:
            self._compare(leaf, proposal)
            if type(version) is int:
                self._in_force[category] = max(version, self._in_force.get(category, 0))
        elif type(version) is not int or version > self._in_force.get(category, version):
            self._report.differs(leaf.where, "a proposal of this rule in an earlier entry", "none")
        else:
            self._from_configuration(leaf)

    def _compare(self, leaf: Leaf, proposal: Leaf) -> None:
        if _rule(leaf) != _rule(proposal):
            self._report.differs(leaf.where, f"the rule that {proposal.where} proposed", "another")
        now, before = self._found.get(leaf.hmac), self._found.get(proposal.hmac)
        if now is None or before is None:
            return
        proposer, approver = before.get("proposer"), now.get("approver")
        if now.get("proposer") != proposer:
            self._report.differs(leaf.where, f"proposer {shown(proposer)} as in {proposal.where}", shown(now))
        persons = [before.get("proposer_person"), now.get("approver_person")]
        if approver in (None, proposer) or (persons[0] is not None and persons[0] == persons[1]):
            self._report.differs(leaf.where, "an approver who is not the proposer", shown(approver))

    def _from_configuration(self, leaf: Leaf) -> None:
        detail = self._found.get(leaf.hmac)
        if detail is not None and detail.get("proposer") != CONFIGURATION:
            self._report.differs(leaf.where, "a proposal of this rule in an earlier entry", "none")


def _rule(leaf: Leaf) -> dict[str, Any]:
    return {name: fact for name, fact in leaf.facts.items() if name not in _NOT_THE_RULE}
