"""`lapel user add|roles|agency|disable|list`: accounts."""

from __future__ import annotations

import getpass

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.custody import on_record
from gateway.cli.places import Places, as_json_option, of_store, places
from gateway.domain.evidence import Act
from gateway.store.accounts import Account, Accounts
from gateway.store.roster import RosterStore


@click.group()
def user() -> None:
    """Accounts; each act is a log entry."""


def accounts(found: Places) -> Accounts:
    """The accounts of a store."""
    return Accounts(RosterStore(found.data / "roster.db").engine)


def known_roles(config: str | None) -> list[str]:
    """Role names of the configuration, or the default ones."""
    if config is None:
        return sorted(configuration.DEFAULT_ROLES)
    return sorted(configuration.load(config).auth.roles)


@user.command("add")
@click.argument("name")
@click.option("--full-name", default="", help="As a person reads it.")
@click.option("--role", "roles", multiple=True, required=True, help="A role from [auth] roles; may be repeated.")
@click.option("--person", help="The person on the roster this account belongs to.")
@click.option("--agency", help="The agency whose view of the feed it has ([[sharing]]); without, every agency's.")
@of_store
def add(  # noqa: PLR0913 - one argument an option
    *,
    name: str,
    full_name: str,
    roles: tuple[str, ...],
    person: str | None,
    agency: str | None,
    config: str | None,
    data: str | None,
) -> None:
    """Create the account NAME."""
    found = places(config, data)
    _check_roles(roles, config)
    accounts(found).add(Account(name, full_name or name, roles, person, agency=agency))
    detail = {"act": "add", "account": name, "roles": list(roles), "person": person, "agency": agency}
    on_record(found, Act("account", f"cli:{getpass.getuser()}", detail=detail))
    click.echo(f"{name}: added; give it a token with: lapel token create --user {name}")


@user.command("roles")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="A role from [auth] roles; may be repeated.")
@of_store
def roles_(name: str, roles: tuple[str, ...], config: str | None, data: str | None) -> None:
    """Give NAME these roles in place of those it has."""
    found = places(config, data)
    _check_roles(roles, config)
    before = accounts(found).set_roles(name, roles)
    detail = {"act": "roles", "account": name, "was": list(before), "roles": list(roles)}
    on_record(found, Act("account", f"cli:{getpass.getuser()}", detail=detail))
    click.echo(f"{name}: {' '.join(roles)} (was {' '.join(before)})")


@user.command("agency")
@click.argument("name")
@click.argument("agency", required=False)
@of_store
def agency_(name: str, agency: str | None, config: str | None, data: str | None) -> None:
    """Give NAME the view of the feed that AGENCY has; without AGENCY every agency's. Counts from its next request."""
    found = places(config, data)
    before = accounts(found).set_agency(name, agency)
    detail = {"act": "agency", "account": name, "was": before, "agency": agency}
    on_record(found, Act("account", f"cli:{getpass.getuser()}", detail=detail))
    click.echo(f"{name}: {agency or 'every agency'} (was {before or 'every agency'})")


def _check_roles(roles: tuple[str, ...], config: str | None) -> None:
    for role in roles:
        if role not in known_roles(config):
            raise click.UsageError(f"role {role!r} is not one of {', '.join(known_roles(config))}")


@user.command("disable")
@click.argument("name")
@of_store
def disable(name: str, config: str | None, data: str | None) -> None:
    """End every token of NAME."""
    found = places(config, data)
    accounts(found).disable(name)
    on_record(found, Act("account", f"cli:{getpass.getuser()}", detail={"act": "disable", "account": name}))
    click.echo(f"{name}: disabled")


@user.command("list")
@of_store
@as_json_option
def list_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List accounts."""
    found = accounts(places(config, data)).all()
    if as_json:
        show.json({"v": 1, "users": found})
        return
    lines = [
        (each.id, each.name, " ".join(each.roles), each.person, each.agency, "disabled" if each.disabled else "")
        for each in found
    ]
    show.rows(("user", "name", "roles", "person", "agency", ""), lines)
