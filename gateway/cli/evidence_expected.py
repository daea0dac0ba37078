"""`lapel evidence expected | settle-expected N | seal-incomplete CAMERA RECORDING`: what has not come."""

from __future__ import annotations

import asyncio
import getpass
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.cameras import DayCount
from gateway.domain.evidence import RecordingKey, Sealed
from gateway.domain.time import rfc3339
from gateway.errors import MisuseError
from gateway.evidence.awaited import Limits
from gateway.evidence.expected import Expectations, ExpectedRow, Vault
from gateway.evidence.settings import EvidenceSection
from gateway.evidence_half import records_at
from gateway.observe import SystemClock
from gateway.store.cameras import CameraStore
from gateway.store.roster import RosterStore

PATIENCE_S = 30.0
DAYS = 7


@contextmanager
def _opened(config: str | None, data: str | None) -> Iterator[Expectations]:
    """The list of one store, brought up to date with its log; a gateway may run beside."""
    found = places(config, data)
    section = configuration.load(config).evidence if config else EvidenceSection()
    store = CameraStore(found.data / "cameras.db", Limits(section.expected_hours))
    with records_at(found.evidence, found.keys, found.origin, found.signers) as records:
        roster = RosterStore(found.data / "roster.db")
        try:
            store.open()
            expected = Expectations(store, roster.roster(), SystemClock())
            expected.vault = Vault(records.catalogue, records.custody, _not_here)
            expected.look()
            yield expected
        finally:
            store.close()
            roster.close()


async def _not_here(_key: RecordingKey) -> Sealed | None:
    raise MisuseError("uploads under way belong to the running gateway")


@click.command("expected")
@click.option("--device", help="Of one camera.")
@click.option("--all", "everything", is_flag=True, help="With what came and what was settled.")
@click.option("--counts", is_flag=True, help="Daily counts (UTC days) per camera instead.")
@click.option("--days", type=click.IntRange(1, 366), default=DAYS, show_default=True, help="Of so many days.")
@of_store
@as_json_option
def expected_(  # noqa: PLR0913 - one argument an option
    *,
    device: str | None,
    everything: bool,
    counts: bool,
    days: int,
    config: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """List recordings that cameras announced or their counters skipped and that are not sealed whole."""
    with _opened(config, data) as expected:
        if counts:
            until = datetime.now(UTC).date()
            _print_counts(expected.counts(until - timedelta(days=days - 1), until, device), as_json=as_json)
            return
        rows = expected.listed(device, everything=everything, limit=10_000)
    _print_rows(rows, as_json=as_json)


@click.command("settle-expected")
@click.argument("number", type=click.IntRange(1))
@click.option("--reason", required=True, help="Why nobody waits for it any more.")
@of_store
@as_json_option
def settle_expected(number: int, reason: str, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Settle expected recording NUMBER, by name and with a reason; on record, and never deleted."""
    if not reason.strip():
        raise click.UsageError("--reason: say why")
    with _opened(config, data) as expected:
        row = asyncio.run(expected.settle(number, f"cli:{getpass.getuser()}", reason.strip()))
    _print_rows([row], as_json=as_json)


@click.command("seal-incomplete")
@click.argument("device")
@click.argument("recording")
@click.option("--reason", required=True, help="Why its camera is not waited for.")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The running gateway.")
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False), required=True, help="With evidence:expected."
)
@as_json_option
def seal_incomplete(device: str, recording: str, reason: str, url: str, token_file: str, *, as_json: bool) -> None:
    """Seal what has come of an upload under way whose camera will not return; late footage adds an exhibit."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise click.UsageError(f"--url: {url!r} is no address of a gateway")
    body = msgspec.json.encode({"device": device, "recording": recording, "reason": reason})
    token = Path(token_file).read_text("utf-8").strip()
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        f"{url.rstrip('/')}/v1/uploads/seal", body, {"Authorization": f"Bearer {token}"}, method="POST"
    )
    answer = _asked(request, url)
    if as_json:
        show.json(answer)
    else:
        click.echo(f"sealed as {answer['exhibit']}" if answer["exhibit"] else "nothing had come: nothing is sealed")


def _asked(request: urllib.request.Request, url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - as above
            return msgspec.json.decode(answer.read(), type=dict[str, Any])
    except urllib.error.HTTPError as wrong:
        try:
            said = msgspec.json.decode(wrong.read(), type=dict[str, Any]).get("detail")
        except msgspec.DecodeError:
            said = None
        raise click.ClickException(f"{url}: {wrong.code}: {said or wrong.reason}") from wrong
    except (OSError, msgspec.DecodeError) as wrong:
        raise click.ClickException(f"{url}: no gateway answers: {wrong}") from wrong


def _print_rows(rows: list[ExpectedRow], *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "expected": rows})
        return
    columns = ("id", "state", "camera", "recording", "n", "held by", "recorded", "place", "due", "exhibit", "settled")
    show.rows(columns, (_line(row) for row in rows))
    click.echo(
        f"{sum(row.state in ('missing', 'incomplete') for row in rows)} missing or incomplete, {len(rows)} listed"
    )


def _line(row: ExpectedRow) -> tuple[object, ...]:
    number = row.n if row.n_to is None else f"{row.n}-{row.n_to}"
    when = row.started_at or row.not_before or row.stopped_at
    place = None if row.latitude is None else f"{row.latitude:.5f}, {row.longitude:.5f}"
    holder = row.holder or " or ".join(row.candidates) or None
    settled = None if row.settled_by is None else f"{row.settled_by}: {row.reason}"
    recorded, due = rfc3339(when) if when else None, rfc3339(row.due_at)
    return (row.id, row.state, row.device, row.recording, number, holder, recorded, place, due, row.exhibit, settled)


def _print_counts(counts: list[DayCount], *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "zone": "UTC", "counts": counts})
        return
    columns = ("day (UTC)", "camera", "recorded", "received", "sealed", "missing", "settled")
    show.rows(
        columns,
        ((c.day, c.device, c.recorded, c.received, c.sealed, c.missing, c.settled) for c in counts),
    )
