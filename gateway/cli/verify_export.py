"""`lapel verify-export DIR --trust FILE`: an export checked by code that did not write it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli.evidence_verify import show_report
from gateway.cli.places import as_json_option
from gateway.errors import VerificationError
from gateway.evidence.verify.exported import verify_export as verified
from gateway.evidence.verify.published import Published, parse_published
from gateway.evidence.verify.report import Report

UNCHECKED = "CONSISTENT, ORIGIN NOT CHECKED"


@click.command("verify-export")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--trust", metavar="FILE", type=click.Path(path_type=Path), help="What the operator publishes.")
@as_json_option
def verify_export(directory: Path, trust: Path | None, *, as_json: bool) -> None:
    """Check the export in DIR against what was published (the lines of `lapel trust print`). Exit 3 if it differs."""
    report = verified(directory, None if trust is None else pinned(trust))
    sys.exit(told(report, trusted=trust is not None, as_json=as_json))


def told(report: Report, *, trusted: bool, as_json: bool) -> int:
    """Print what was found; the exit code, which is none of success where nobody has said whose keys these are."""
    if not trusted:
        report.note("origin not checked: whose keys these are, nobody has said (--trust)")
    code = show_report(report, as_json=as_json)
    if code == 0 and not trusted:
        click.echo(UNCHECKED, err=as_json)
        code = 1
    return code


def pinned(path: Path) -> Published:
    """What was published, from a file; a usage error where it can't be read."""
    try:
        return parse_published(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as wrong:
        raise click.UsageError(f"{path}: {wrong}") from wrong
    except VerificationError as wrong:
        raise click.UsageError(str(wrong)) from None
