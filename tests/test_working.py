"""What keeps the desk up: brings to its end what was left, says what the log overrules, and outlives a defect."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from gateway import working
from gateway.evidence.settings import CategorySection, RetentionSection
from gateway.evidence.work.acts import Categorisation
from gateway.evidence.work.desk import Desk
from gateway.working import keep_up, tables
from tests.evidence.work.lab import ANN, work_lab


async def for_a_while(desk: Desk) -> None:
    """Some turns of it."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await keep_up(desk)


def test_what_the_log_overrules_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rule; a configuration that agrees is not spoken of."""
    monkeypatch.setattr(working, "KEEP_UP_EVERY_S", 0.02)
    with work_lab(tmp_path, RetentionSection()) as lab:
        asyncio.run(lab.desk.categorise(ANN, lab.seal("a"), Categorisation(category="non_evidential")))
        with structlog.testing.capture_logs() as said:
            asyncio.run(for_a_while(lab.another_desk()))
            assert said == []
            other = RetentionSection(category=(CategorySection("non_evidential", days=1),))
            asyncio.run(for_a_while(Desk(lab.log, lab.catalogue, tables(other), lab.clock)))
    assert [(each["event"], each["rules"]) for each in said] == [("retention_differs", ["*/non_evidential@1"])]


def test_a_defect_is_told_and_the_next_turn_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised takes nothing along."""
    monkeypatch.setattr(working, "KEEP_UP_EVERY_S", 0.02)
    turns: list[int] = []

    async def broken(_self: object) -> int:
        turns.append(len(turns))
        if len(turns) == 1:
            raise RuntimeError("a defect")
        return 0

    monkeypatch.setattr(working.RuleDesk, "keep_up", broken)
    with work_lab(tmp_path) as lab, structlog.testing.capture_logs() as said:
        asyncio.run(for_a_while(lab.desk))
    assert [each["event"] for each in said] == ["custody_acts_not_caught_up"]
    assert len(turns) > 1
