"""`lapel retention rules | dry-run | propose | approve`: how long what is kept, and changing it by two people."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click
import msgspec

from gateway.cli import show
from gateway.cli.desk import at_desk, worker
from gateway.cli.places import as_json_option, of_store
from gateway.evidence.work.comparison import Comparison
from gateway.evidence.work.retention import RuleDesk
from gateway.evidence.work.terms import EVERYBODY, Rule

Command = TypeVar("Command", bound=Callable[..., Any])
_DAYS = click.IntRange(0, 73_000)
_COLUMNS = ("rule", "due after", "review after", "required", "applies to earlier", "state")


@click.group()
def retention() -> None:
    """Retention rules."""


def of_rule(command: Command) -> Command:
    """Add what describes a rule to a command; it is given it as `rule`."""

    @click.argument("category")
    @click.option("--controller", default=EVERYBODY, show_default=True, help="Whose exhibits; * is everybody's.")
    @click.option("--title", default="", help="What it is called.")
    @click.option("--days", type=_DAYS, help="Due so many days after the recording; not given: never by itself.")
    @click.option("--review-days", type=_DAYS, help="To be reviewed so many days after the recording.")
    @click.option("--required", multiple=True, metavar="FIELD", help="What a categorisation must give; repeatable.")
    @click.option("--applies", is_flag=True, help="Also to what is categorised already, by an entry for each exhibit.")
    @functools.wraps(command)
    def with_rule(*args: object, **named: Any) -> object:  # noqa: ANN401
        words = {name: named.pop(name) for name in ("category", "controller", "title", "days", "review_days")}
        more = {name: named.pop(name) for name in ("required", "applies")}
        return command(*args, rule=Rule(**words, **more), **named)

    return cast("Command", with_rule)


@retention.command("rules")
@of_store
@as_json_option
def rules(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List rules in force, proposals, and what a review can decide."""
    with at_desk(config, data, ruled=True) as desk:
        in_force, proposals = asyncio.run(RuleDesk(desk).rules())
        decisions, grace_days = desk.tables.decisions, desk.tables.grace_days
    if as_json:
        body = {"rules": in_force, "proposals": proposals, "decisions": decisions, "grace_days": grace_days}
        show.json({"v": 1, **body})
        return
    lines = [_line(rule, "in force") for rule in in_force]
    lines += [_line(each.rule, f"proposed by {each.proposer.account}: {each.reason}") for each in proposals]
    show.rows(_COLUMNS, lines)
    show.rows(
        ("decision", "", "due after", "review after"), [(d.name, d.title, d.days, d.review_days) for d in decisions]
    )
    click.echo(f"nothing becomes due sooner than {grace_days} days after the act that makes it so")


@retention.command("dry-run")
@of_rule
@of_store
@as_json_option
def dry_run(rule: Rule, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Show what a rule for CATEGORY would change of what is categorised already."""
    with at_desk(config, data, ruled=True) as desk:
        rule, would = asyncio.run(RuleDesk(desk).compare(rule))
    _show(rule, would, "would be", as_json=as_json)


@retention.command("propose")
@of_rule
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@of_store
@as_json_option
def propose(rule: Rule, reason: str, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Propose a rule for CATEGORY; it waits for a second person."""
    with at_desk(config, data, ruled=True) as desk:
        proposal, would = asyncio.run(RuleDesk(desk).propose(worker(), rule, reason))
    _show(proposal.rule, would, "is proposed as", as_json=as_json)


@retention.command("approve")
@click.argument("category")
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@of_store
@as_json_option
def approve(*, category: str, version: int, reason: str, config: str | None, data: str | None, as_json: bool) -> None:
    """Bring the proposal CATEGORY VERSION into force; whoever proposed it cannot."""
    with at_desk(config, data, ruled=True) as desk:
        rule, would = asyncio.run(RuleDesk(desk).approve(worker(), category, version, reason))
    _show(rule, would, "is in force:", as_json=as_json)


def _line(rule: Rule, state: str) -> tuple[object, ...]:
    applies = "yes" if rule.applies else "no"
    return (rule.name, rule.days, rule.review_days, " ".join(rule.required) or None, applies, state)


def _show(rule: Rule, would: Comparison, verb: str, *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "name": rule.name, "rule": rule, "would": would})
        return
    click.echo(f"it {verb} {rule.name}")
    counts = ", ".join(f"{name} {count}" for name, count in would.counts().items())
    click.echo(f"of what is categorised already{'' if rule.applies else ' (not applied)'}: {counts}")
    lines = [(each.exhibit, each.due, msgspec.to_builtins(each.would_be)["due"], each.held) for each in would.moved]
    if lines:
        show.rows(("exhibit", "due", "would be", "held"), lines)
