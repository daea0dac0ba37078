"""`lapel quarantine list`: frames nobody could read, and why."""

from __future__ import annotations

import click

from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.crypto.keys import KeyStore
from gateway.store.quarantine import QuarantineStore


@click.group()
def quarantine() -> None:
    """Frames that could not be read, kept with the reason."""


@quarantine.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@of_store
@as_json_option
def list_(limit: int, config: str | None, data: str | None, *, as_json: bool) -> None:
    """List the newest rows with their raw bytes (hex)."""
    found = places(config, data)
    keystore = KeyStore(found.keys, found.signers)
    keystore.load()
    store = QuarantineStore(found.data / "journal" / "quarantine.db", keystore.wrap, keystore.unwrap)
    rows = store.rows(limit)
    if as_json:
        listed = [
            {
                "id": row.id,
                "at": row.at,
                "via": row.via,
                "channel": row.channel,
                "device": row.device,
                "reason": row.reason,
                "raw": row.payload.hex(),
            }
            for row in rows
        ]
        show.json({"v": 1, "count": store.count(), "rows": listed})
        return
    lines = [(row.id, row.at, row.via, row.device, row.reason, row.payload[:24].hex()) for row in rows]
    show.rows(("id", "at", "input", "device", "reason", "raw"), lines)
    click.echo(f"{len(rows)} of {store.count()} rows")
