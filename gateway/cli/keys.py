"""`lapel keys list | rotate | retire`; `identity EXHIBIT --purpose P`: one exhibit for the stock `age`, on record."""

from __future__ import annotations

import getpass

import click

from gateway.cli.keys_backup import keys_backup
from gateway.cli.keys_list import list_
from gateway.cli.keys_rotate import retire, rotate
from gateway.cli.places import of_store, places
from gateway.crypto.age import Identity
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence_half import records_at


@click.group()
def keys() -> None:
    """Keys of the store."""


keys.add_command(keys_backup)
for _verb in (list_, rotate, retire):
    keys.add_command(_verb)


@keys.command("identity")
@click.argument("exhibit")
@click.option("--purpose", required=True, help="Why it is needed; goes into the exhibit's custody.")
@of_store
def identity(exhibit: str, purpose: str, config: str | None, data: str | None) -> None:
    """Print the age identity of EXHIBIT; where its blob lies goes to standard error."""
    if not purpose.strip():
        raise click.UsageError("--purpose: say why")
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        row = store.catalogue.exhibit(exhibit)
        secret = store.keyring.get(f"identity/{exhibit}")
        if row is None or row.blob is None or secret is None:
            raise click.ClickException(f"{exhibit}: there is no sealed exhibit of this name with a key")
        detail = {"purpose": purpose, "what": "age identity printed"}
        actor = f"cli:{getpass.getuser()}"
        # On record before it is printed: a key that is out must never be missing from custody.
        store.custody.record_now(Act("view", actor, ExhibitId(exhibit), detail=detail))
    click.echo(Identity(secret).printed())
    click.echo(found.evidence / "blobs" / row.blob[:2] / row.blob[2:4] / f"{row.blob}.age", err=True)
