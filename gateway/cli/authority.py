"""The device authority of a store, for a command."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from pathlib import Path

from gateway import settings as configuration
from gateway.cli.custody import on_record
from gateway.cli.places import Places, places
from gateway.crypto.authority import AuthorityFiles
from gateway.enrolment import Enrolment
from gateway.observe import SystemClock
from gateway.settings import DevicesSection
from gateway.store.credentials import CredentialStore
from gateway.store.roster import RosterStore


def _found(config: str | None, data: str | None) -> tuple[Places, Path, DevicesSection]:
    """The store, where its authority lies, and how long certificates hold."""
    if config is None:
        found = places(config, data)
        return found, found.keys / "authority", DevicesSection()
    settings = configuration.load(config)
    # Devices of a new site are enrolled before its first start.
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return places(config, data), settings.authority, settings.devices


@contextlib.contextmanager
def store_at(config: str | None, data: str | None) -> Iterator[CredentialStore]:
    """What was issued and revoked."""
    roster = RosterStore(_found(config, data)[0].data / "roster.db")
    try:
        yield CredentialStore(roster.engine)
    finally:
        roster.close()


@contextlib.contextmanager
def authority(config: str | None, data: str | None) -> Iterator[Enrolment]:
    """The authority, made where there is none."""
    found, directory, section = _found(config, data)
    roster = RosterStore(found.data / "roster.db")
    try:
        store = CredentialStore(roster.engine)
        days = section.certificate_days
        office = Enrolment(AuthorityFiles(directory), store, SystemClock(), lambda act: on_record(found, act), days)
        office.open(f"cli:{getpass.getuser()}")
        yield office
    finally:
        roster.close()
