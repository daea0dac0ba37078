"""`lapel evidence verify [ID|--all]`: the whole store, or one exhibit, re-derived from the files."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import cast

import click
import msgspec

from gateway.cli.places import Command, Places, as_json_option, of_store, places
from gateway.errors import VerificationError
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.second_places import MARK
from gateway.evidence.verify.store import Beside, verify_store
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
    return _told(report)


def _told(report: Report) -> int:
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


class Stores(msgspec.Struct, frozen=True):
    """What is to be verified: a store, where its keys lie (None: nothing is decrypted), its second places."""

    found: Places
    keys: Path | None
    copies: tuple[Path, ...]


def with_copies(command: Command) -> Command:
    """Add -c, --data, --keys and --copy to a command that verifies; it is given them as `stores`."""

    @click.option("--copy", "copies", metavar="DIR", multiple=True, help="A second place to verify too; repeatable.")
    @click.option("--keys", metavar="DIR", help="Where the keys lie, if not where the store has them.")
    @of_store
    @functools.wraps(command)
    def with_stores(
        *args: object,
        config: str | None,
        data: str | None,
        keys: str | None,
        copies: tuple[str, ...],
        **named: object,
    ) -> object:
        found = places(config, data)
        # A copy has no keys beside it, and is verified without them unless they are named.
        bare = keys is None and (found.data / MARK).exists() and not found.keys.is_dir()
        kept = None if bare else Path(keys or found.keys)
        return command(*args, stores=Stores(found, kept, tuple(map(Path, copies))), **named)

    return cast("Command", with_stores)


@click.command("verify")
@click.argument("exhibit", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every exhibit; so it is without an ID too.")
@click.option("--journal/--no-journal", default=True, help="With all: the position history against its roots too.")
@with_copies
@pinned_keys
@as_json_option
def verify(exhibit: str | None, *, stores: Stores, trusted: Trust, as_json: bool, **which: bool) -> None:
    """Check log, custody chains, details, blobs, catalogue and position history. Exit 3 if anything differs."""
    if exhibit is not None and which["everything"]:
        raise click.UsageError("give an exhibit id or --all, not both")
    evidence, keys, origin = stores.found.evidence, stores.keys, stores.found.origin
    beside = Beside(tuple(stores.copies), journal=which["journal"])
    reports = [verify_store(evidence, keys, exhibit, origin=origin, trust=trusted, beside=beside)]
    reports += [verify_store(place / "evidence", keys, exhibit, origin=origin) for place in stores.copies]
    sys.exit(_shown(reports, ["", *map(str, stores.copies)], as_json=as_json))


def _shown(reports: list[Report], names: list[str], *, as_json: bool) -> int:
    """Print the store's report and those of its copies; the worst of their exit codes."""
    if not as_json:
        for report, name in zip(reports, names, strict=True):
            report.subject = f"{report.subject}, copy {name}" if name else report.subject
        return max(show_report(report, as_json=False) for report in reports)
    first = {"v": 1, "ok": all(report.ok for report in reports), **msgspec.to_builtins(reports[0])}
    beside = [
        {"place": name, **msgspec.to_builtins(report)} for report, name in zip(reports[1:], names[1:], strict=True)
    ]
    click.echo(msgspec.json.encode({**first, **({"copies": beside} if beside else {})}).decode("utf-8", "replace"))
    return max(_told(report) for report in reports)
