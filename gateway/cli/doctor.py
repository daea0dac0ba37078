"""`lapel doctor [radio]`: what is wrong, and what to do; asks a running gateway, or looks at what the config names."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
import msgspec

from gateway import settings as configuration
from gateway.cli import doctor_copies, doctor_cot, doctor_keys, doctor_media, doctor_words, show
from gateway.cli.doctor_ports import look
from gateway.cli.doctor_words import Finding, Radio
from gateway.cli.places import as_json_option, of_store
from gateway.settings import Settings
from gateway.store.credentials import CredentialStore
from gateway.store.roster import RosterStore

PATIENCE_S = 10.0
RADIO = "tetra"
RADIO_COUNTER = "short_data"
"""What the counters of a radio input have and of no other, for a gateway whose configuration is not at hand."""
LEAST_FREE = 256 << 20


class UnansweredError(Exception):
    """The gateway did not say what was asked; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        """Keep the finding."""
        self.finding = finding
        super().__init__(finding.what)


class Gateway:
    """A running gateway, asked over HTTP."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token = url.rstrip("/"), token

    def ask(self, path: str) -> dict[str, Any]:
        """One answer; UnansweredError with what is wrong where there is none."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(self._url + path, headers=headers)  # noqa: S310 - the scheme is checked
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - as above
                body = answer.read()
        except urllib.error.HTTPError as wrong:
            if wrong.code != 503:  # the answer of /ready with a part down
                self._refused(wrong.code, path)
            body = wrong.read()
        except OSError as wrong:
            reason = getattr(wrong, "reason", wrong)
            self._fail(f"no gateway answers ({reason})", "Start it: lapel run -c FILE; or correct --url.")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            self._fail(f"{path} is answered with something else than JSON", "Correct --url: this is no gateway.")

    def _refused(self, code: int, path: str) -> NoReturn:
        if code == 401:
            self._fail("the token is not accepted", "Make one: lapel token create --user NAME; give --token-file.")
        if code == 403:
            self._fail(f"the token may not ask for {path}", "Use one with health:read and feed:read.")
        self._fail(f"{path} is answered with {code}", "See the gateway's log.")

    def _fail(self, what: str, do: str) -> NoReturn:
        raise UnansweredError(Finding(self._url, "wrong", what, do))


def _radios(settings: Settings | None) -> set[str] | None:
    return None if settings is None else {one.name for one in settings.driver if one.kind == RADIO}


def _of_gateway(gateway: Gateway, settings: Settings | None, *, radio_only: bool) -> list[Finding]:
    known = gateway.ask("/v1/drivers")
    inputs, named = known["inputs"], _radios(settings)
    radios, found = [], []
    for name, one in inputs.items():
        is_radio = name in named if named is not None else RADIO_COUNTER in one["counters"]
        if is_radio:
            radios.append(Radio(name, one["state"], one["problem"], one["counters"].get("talkgroup")))
        elif not radio_only:
            found.append(doctor_words.other(name, one["state"], one["problem"]))
    found += [doctor_words.radio(one.name, one.state, one.problem) for one in radios]
    if radios:
        found += doctor_words.coverage(radios)
        found += doctor_words.groups(known.get("groups", ()))
        found += doctor_words.handsets(gateway.ask("/v1/handsets")["handsets"])
    elif radio_only:
        found.append(Finding("radio", "wrong", "this gateway has no radio input", 'Add a [[driver]] kind = "tetra".'))
    return found if radio_only else doctor_words.parts(gateway.ask("/ready").get("parts", {})) + found


def _of_config(settings: Settings, *, radio_only: bool) -> list[Finding]:
    found = [look(one.name, str(one.rest.get("port", ""))) for one in settings.driver if one.kind == RADIO]
    if not found and radio_only:
        found.append(Finding("radio", "wrong", "no radio is configured", 'Add a [[driver]] kind = "tetra".'))
    if found and settings.feed.test_status is None:
        found.append(
            Finding(
                "test status",
                "note",
                "no test_status is set: the emergency path of a handset cannot be proven without a real alarm",
                "Agree on a 16-bit status value with the force, program it, and set [feed] test_status.",
            )
        )
    if radio_only:
        return found
    named = [*doctor_keys.look(settings), *doctor_copies.look(settings), *doctor_media.look(settings)]
    return [_of_data(settings.data), *_of_certificates(settings), *named, *doctor_cot.look(settings), *found]


def _of_certificates(settings: Settings) -> list[Finding]:
    """Which certificates of devices, gateway and broker end soon."""
    if not (settings.data / "roster.db").exists():
        return []
    store = RosterStore(settings.data / "roster.db")
    try:
        rights = CredentialStore(store.engine).rights()
    finally:
        store.close()
    days = settings.devices.warn_days
    return doctor_words.certificates(rights.lapsing(datetime.now(UTC), days), days, len(rights.everything()))


def _of_data(folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding(str(folder), "note", "the data directory is not there yet", "lapel run makes it.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(str(folder), "wrong", "the data directory takes no writes of this user", "Correct its owner.")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        return Finding(str(folder), "wrong", f"{free >> 20} MB are free", "Make room.")
    return Finding(str(folder), "fine", f"the data directory takes writes; {free >> 20} MB are free")


def _address(settings: Settings | None, url: str | None, token_file: str | None) -> str | None:
    """Where to ask: --url, or where the configuration listens if there is a token to ask with."""
    if url is not None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise click.UsageError(f"--url: {url!r} is no http address")
        return url
    if settings is None or token_file is None or settings.api.port == 0:
        return None
    return f"http://{settings.api.host}:{settings.api.port}"


def _token(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as wrong:
        raise click.UsageError(f"--token-file: {file} cannot be read") from wrong


def _examine(
    settings: Settings | None, data: str | None, gateway: Gateway | None, *, radio_only: bool
) -> list[Finding]:
    unanswered: list[Finding] = []
    if gateway is not None:
        try:
            return _of_gateway(gateway, settings, radio_only=radio_only)
        except UnansweredError as nothing:
            unanswered = [nothing.finding]
    if settings is not None:
        return unanswered + _of_config(settings, radio_only=radio_only)
    return unanswered + ([_of_data(Path(data))] if data is not None else [])


def _print(found: list[Finding]) -> None:
    marks = {"fine": "  ok  ", "wrong": "WRONG ", "note": " note "}
    for one in found:
        click.echo(f"{marks[one.verdict]} {one.about}: {one.what}")
        if one.do is not None:
            click.echo(f"       do: {one.do}")


@click.command()
@click.argument("part", required=False, type=click.Choice(["radio"]))
@of_store
@click.option("--url", metavar="URL", help="A running gateway, e.g. http://127.0.0.1:8080.")
@click.option("--token-file", metavar="FILE", help="A token with health:read and feed:read.")
@as_json_option
def doctor(
    *, part: str | None, config: str | None, data: str | None, url: str | None, token_file: str | None, as_json: bool
) -> None:
    """Say what is wrong and what to do. Asks a running gateway where it can, else looks at the ports itself."""
    if config is not None and data is not None:
        raise click.UsageError("give either -c FILE or --data DIR")
    if config is None and data is None and url is None:
        raise click.UsageError("give -c FILE, --data DIR or --url URL")
    settings = None if config is None else configuration.load(config)
    address = _address(settings, url, token_file)
    gateway = None if address is None else Gateway(address, _token(token_file))
    found = _examine(settings, data, gateway, radio_only=part == "radio")
    wrong = any(one.verdict == "wrong" for one in found)
    if as_json:
        show.json({"v": 1, "fine": not wrong, "findings": found})
    else:
        _print(found)
    if wrong:
        sys.exit(1)
