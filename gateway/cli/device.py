"""`lapel device enrol | revoke | renew | list`: keys and certificates of devices."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click

from gateway import broker_files
from gateway.cli import show
from gateway.cli.authority import authority, store_at
from gateway.cli.places import as_json_option, of_store
from gateway.crypto.authority_files import PRIVATE, PUBLIC, create, folder, replace
from gateway.domain.devices import Credential, CredentialKind
from gateway.domain.time import rfc3339
from gateway.enrolment import Given
from gateway.feed.agency import AGENCY
from gateway.roster.rights import stands

KINDS = ("camera", "beacon", "dock", "consumer", "gateway")


@click.group()
def device() -> None:
    """Keys and certificates of devices; each act is a log entry, and a running gateway sees it within a second."""


def actor() -> str:
    """Who runs this command."""
    return f"cli:{getpass.getuser()}"


@device.command("enrol")
@click.argument("name", metavar="ID")
@click.option("--csr", type=click.Path(dir_okay=False), metavar="FILE", help="The device's own request (PEM or DER).")
@click.option("--out", metavar="DIR", help="Where key and certificate go; without --csr the key is made here.")
@click.option("--kind", type=click.Choice(KINDS), default="camera", show_default=True)
@click.option("--cameras", default="", metavar="A,B", help="For a dock: the devices that it may speak for.")
@click.option("--agency", metavar="AGENCY", help="For a consumer: whose view of the feed it reads; without, the whole.")
@of_store
@as_json_option
def enrol(  # noqa: PLR0913 - one argument an option
    *,
    name: str,
    csr: str | None,
    out: str | None,
    kind: str,
    cameras: str,
    agency: str | None,
    config: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Give the device ID a certificate: for its own key (--csr), or with a key made here (--out)."""
    spoken = tuple(each.strip() for each in cameras.split(",") if each.strip())
    if spoken and kind != "dock":
        raise click.UsageError("--cameras: only a dock speaks for cameras")
    if agency is not None and kind != "consumer":
        raise click.UsageError("--agency: only a consumer reads an agency's view")
    if agency is not None and not re.fullmatch(AGENCY, agency):
        raise click.UsageError(f"--agency: {agency!r} can't be in a topic")
    request = _request(csr, out, name)
    with authority(config, data) as office:
        given = office.enrol(name, cast("CredentialKind", kind), request, spoken, actor(), agency)
    _hand_over(given, out, as_json=as_json)


@device.command("renew")
@click.argument("name", metavar="ID")
@click.option("--csr", type=click.Path(dir_okay=False), metavar="FILE", help="The device's own request (PEM or DER).")
@click.option("--out", metavar="DIR", help="Where key and certificate go; without --csr a new key is made here.")
@of_store
@as_json_option
def renew(*, name: str, csr: str | None, out: str | None, config: str | None, data: str | None, as_json: bool) -> None:
    """Give the device ID its next certificate, of the same kind; the one before holds until it lapses."""
    request = _request(csr, out, name)
    with authority(config, data) as office:
        given = office.renew_here(name, request, actor())
    _hand_over(given, out, as_json=as_json)


@device.command("revoke")
@click.argument("name", metavar="ID")
@click.option("--reason", required=True, help="Why; goes on record.")
@click.option("--broker", metavar="DIR", help="The broker's configuration directory, written anew.")
@of_store
def revoke(name: str, reason: str, broker: str | None, config: str | None, data: str | None) -> None:
    """Take back every certificate of the device ID."""
    if not reason.strip():
        raise click.UsageError("--reason: say why")
    if broker is not None and not (Path(broker) / "mosquitto.conf").exists():
        raise click.UsageError(f"--broker: {broker} holds no configuration of `lapel broker config`")
    with authority(config, data) as office:
        ended = office.revoke(name, reason, actor())
        if broker is not None:
            broker_files.refresh(Path(broker), office.directory, office.revoked(), office.consumers())
    click.echo(f"{name}: {ended} certificates revoked" if ended else f"{name}: nothing stood any more")
    told = "send the broker SIGHUP" if broker is not None else "run `lapel broker config` again and send it SIGHUP"
    click.echo(f"until the broker knows, it lets the device in: {told}", err=True)


@device.command("list")
@of_store
@as_json_option
def list_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List every certificate there ever was."""
    with store_at(config, data) as store:
        found = store.rights().everything()
    now = datetime.now(UTC)
    if as_json:
        show.json({"v": 1, "credentials": [_said(each, now) for each in found]})
        return
    columns = ("device", "kind", "serial", "key made by", "until", "state", "reason", "speaks for")
    words = ("device", "kind", "serial", "key_origin", "not_after", "state", "reason")
    said = [_said(each, now) for each in found]
    show.rows(columns, ([each[word] for word in words] + [" ".join(each["cameras"])] for each in said))  # type: ignore[arg-type]


def _request(csr: str | None, out: str | None, name: str) -> bytes | None:
    """The request, or None for a key made here; what could not be written at the end is refused at the beginning."""
    if csr is not None:
        try:
            return Path(csr).read_bytes()
        except OSError as wrong:
            raise click.UsageError(f"--csr: {csr} cannot be read: {wrong.strerror}") from wrong
    if out is None:
        raise click.UsageError("give --csr FILE (the device made its key) or --out DIR (the key is made here)")
    if (Path(out) / f"{name}.key").exists():
        raise click.UsageError(f"--out: {out} holds a key of {name} already; choose another directory")
    return None


def _said(credential: Credential, now: datetime) -> dict[str, object]:
    state = "revoked" if credential.revoked_at else ("stands" if stands(credential, now) else "lapsed")
    return {
        "device": credential.device,
        "kind": credential.kind,
        "serial": credential.serial,
        "key_origin": credential.key_origin,
        "not_before": rfc3339(credential.not_before),
        "not_after": rfc3339(credential.not_after),
        "state": state,
        "revoked_at": rfc3339(credential.revoked_at) if credential.revoked_at else None,
        "reason": credential.reason,
        "cameras": list(credential.cameras),
    }


def _hand_over(given: Given, out: str | None, *, as_json: bool) -> None:
    """Write the files, the key last: where it lies, everything does. Without --out the certificate is printed."""
    name = given.credential.device
    if out is not None:
        where = folder(Path(out))
        replace(where / "ca.crt", given.trust, PUBLIC)
        replace(where / f"{name}.crt", given.certificate, PUBLIC)
        if given.key is not None and not create(where / f"{name}.key", given.key, PRIVATE):
            raise click.ClickException(f"{out}: another command has written {name}.key; enrol again elsewhere")
    if as_json:
        certificate = given.certificate.decode()
        show.json({"v": 1, **_said(given.credential, datetime.now(UTC)), "certificate": certificate})
    elif out is None:
        click.echo(given.certificate.decode(), nl=False)
    else:
        click.echo(f"{name}: {Path(out) / f'{name}.crt'}, until {rfc3339(given.credential.not_after)}")
