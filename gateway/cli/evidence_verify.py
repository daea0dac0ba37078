"""`lapel evidence verify [ID|--all]`: the whole store, or one exhibit, re-derived from the files."""

from __future__ import annotations

import functools
import sys
from typing import cast

import click
import msgspec

from gateway.cli.places import Command, as_json_option, of_store, places
from gateway.errors import VerificationError
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.store import verify_store
from gateway.evidence.verify.trust import Trust, trust

FAILED, INTEGRITY = 1, 3


def exit_code(report: Report) -> int:
    """0 nothing differs, 3 something does, 1 something could not be read."""
    if report.findings:
        return INTEGRITY
    return FAILED if report.unread else 0


def _summary(report: Report) -> str:
    counted = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in report.counts.items())
    verdict = "verified" if report.ok else f"{len(report.findings)} differ, {len(report.unread)} unread"
    return f"{report.subject}: {verdict}: {counted or 'nothing counted'}"


def show_report(report: Report, *, as_json: bool) -> int:
    """Print a report: the summary to standard output, each finding to standard error; gives the exit code."""
    if as_json:
        body = {"v": 1, "ok": report.ok, **msgspec.to_builtins(report)}
        click.echo(msgspec.json.encode(body).decode("utf-8", "replace"))
    else:
        click.echo(_summary(report))
        for note in report.notes:
            click.echo(f"note: {note}")
    for finding in report.findings:
        click.echo(f"{finding.path}: expected {finding.expected}, found {finding.found}", err=True)
    for finding in report.unread:
        click.echo(f"{finding.path}: not read: {finding.found}", err=True)
    return exit_code(report)


def pinned_keys(command: Command) -> Command:
    """Add --vkey and --witness to a command that verifies; it is given them as `trusted`."""

    @click.option("--vkey", metavar="VKEY", help="The log's verifier key as published elsewhere.")
    @click.option("--witness", metavar="VKEY", multiple=True, help="A witness that must have cosigned; repeatable.")
    @functools.wraps(command)
    def with_trust(*args: object, vkey: str | None, witness: tuple[str, ...], **named: object) -> object:
        try:
            trusted = trust(vkey, witness)
        except VerificationError as wrong:
            raise click.UsageError(str(wrong)) from None
        return command(*args, trusted=trusted, **named)

    return cast("Command", with_trust)


@click.command("verify")
@click.argument("exhibit", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every exhibit; so it is without an ID too.")
@click.option("--journal/--no-journal", default=True, help="With all: the position history against its roots too.")
@of_store
@pinned_keys
@as_json_option
def verify(
    exhibit: str | None, config: str | None, data: str | None, *, trusted: Trust, as_json: bool, **which: bool
) -> None:
    """Check log, custody chains, details, blobs, catalogue and position history. Exit 3 if anything differs."""
    if exhibit is not None and which["everything"]:
        raise click.UsageError("give an exhibit id or --all, not both")
    found = places(config, data)
    report = verify_store(
        found.evidence, found.keys, exhibit, origin=found.origin, trust=trusted, journal=which["journal"]
    )
    sys.exit(show_report(report, as_json=as_json))
