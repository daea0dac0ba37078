"""`lapel token create|revoke|list`: bearer tokens for programs and for signing in."""

from __future__ import annotations

import getpass
import math

import click

from gateway.cli import show
from gateway.cli.custody import on_record
from gateway.cli.places import as_json_option, of_store, places
from gateway.cli.user import accounts
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339

MOST_DAYS = 3650


def _finite(_ctx: click.Context, param: click.Parameter, days: float) -> float:
    """Refuse what is not a number: no range does."""
    if math.isnan(days):
        raise click.BadParameter("nan is not a number of days", param=param)
    return days


@click.group()
def token() -> None:
    """Bearer tokens; the text is printed once and only its hash is kept."""


@token.command("create")
@click.option("--user", required=True, help="Whose token.")
@click.option("--scope", "scopes", multiple=True, help="A permission it is limited to; may be repeated.")
@click.option(
    "--days", type=click.FloatRange(0, MOST_DAYS, min_open=True), callback=_finite, default=90.0, show_default=True
)
@click.option("--label", default="", help="What it is for.")
@of_store
@as_json_option
def create(  # noqa: PLR0913 - one argument an option
    *,
    user: str,
    scopes: tuple[str, ...],
    days: float,
    label: str,
    config: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Make a token for a user; without --scope it may all that the user's roles allow."""
    found = places(config, data)
    kept = accounts(found)
    whose = kept.account(user)
    if whose is not None and whose.disabled:
        raise click.ClickException(f"user {user!r} is disabled: a token of theirs would not work")
    made, text = kept.issue(user, scopes, label, days)
    detail = {"act": "token", "account": user, "token": made.id, "scopes": list(scopes), "label": label}
    on_record(found, Act("account", f"cli:{getpass.getuser()}", detail=detail))
    if as_json:
        show.json({"v": 1, "token": text, "id": made.id, "expires_at": made.expires_at})
        return
    click.echo(text)
    click.echo(f"token {made.id} of {user}, until {rfc3339(made.expires_at)}; this is shown once", err=True)


@token.command("revoke")
@click.argument("name")
@of_store
def revoke(name: str, config: str | None, data: str | None) -> None:
    """End the token with the id NAME."""
    found = places(config, data)
    accounts(found).revoke(name)
    on_record(found, Act("account", f"cli:{getpass.getuser()}", detail={"act": "revoke", "token": name}))
    click.echo(f"{name}: revoked")


@token.command("list")
@of_store
@as_json_option
def list_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List tokens; never their texts."""
    found = accounts(places(config, data)).tokens()
    if as_json:
        show.json({"v": 1, "tokens": found})
        return
    lines = [
        (
            each.id,
            each.account,
            " ".join(each.scopes) or "all",
            each.label,
            rfc3339(each.expires_at),
            rfc3339(each.revoked_at) if each.revoked_at else None,
        )
        for each in found
    ]
    show.rows(("token", "user", "scopes", "label", "until", "revoked"), lines)
