"""Configuration: one TOML file, closed, read once."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

from gateway.crypto.signers import Uris, check_uris
from gateway.dispatch.settings import DispatchSettings
from gateway.errors import ConfigError
from gateway.evidence.settings import (
    Closed,
    EvidenceSection,
    LogSection,
    Name,
    RetentionSection,
    Seconds,
    StoreSection,
    check_copies,
    check_retention,
    check_shares,
    check_witnesses,
)
from gateway.feed.agreement import Agreement
from gateway.feed.agreement import check_all as check_agreements
from gateway.feed.settings import FeedSettings, MapSettings
from gateway.media.settings import MediaSettings
from gateway.outlets import cot_settings
from gateway.outlets.cot_settings import CotSettings
from gateway.outlets.settings import TimestampSettings

Struct = TypeVar("Struct", bound=msgspec.Struct)
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class GatewaySection(Closed, frozen=True):
    """[gateway]: what this instance is called and where its data lies."""

    instance: Name = "lapel-1"
    data: str = "var/lapel"


class BrokerSection(Closed, frozen=True):
    """[broker]: the MQTT broker; embedded starts one on 127.0.0.1 for demonstration."""

    embedded: bool = False
    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class DevicesSection(Closed, frozen=True):
    """[devices]: the device authority, how long its certificates hold, where devices reach the broker."""

    authority: str | None = None
    certificate_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 365
    warn_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 30
    broker_port: Port | None = None


class DriverSection(msgspec.Struct, frozen=True):
    """[[driver]]: kind and name here, the rest belongs to the driver of that kind."""

    kind: str
    name: str
    rest: dict[str, Any] = msgspec.field(default_factory=dict)


class RosterSection(Closed, frozen=True):
    """[roster]: a file imported at each start (people, units, devices, bookings)."""

    file: str | None = None


class ApiSection(Closed, frozen=True):
    """[api]: where HTTP listens; loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: Port = 8080


DEFAULT_ROLES: dict[str, list[str]] = {
    "administrator": ["*"],
    "controller": [
        "feed:read",
        "feed:nearest",
        "feed:track",
        "emergency:act",
        "message:act",
        "duty:write",
        "task:write",
        "roster:read",
        "booking:write",
        "health:read",
    ],
    "covert_supervisor": [
        "feed:read",
        "feed:nearest",
        "feed:track",
        "feed:masked",
        "unit:mask",
        "emergency:act",
        "message:act",
        "duty:write",
        "task:write",
        "health:read",
    ],
    "consumer": ["feed:read", "feed:nearest", "health:read"],
    "evidence_officer": [
        "evidence:read",
        "evidence:content",
        "evidence:expected",
        "disposal:request",
        "evidence:work",
        "evidence:derive",
        "evidence:export",
        "log:read",
        "roster:read",
        "health:read",
    ],
    "evidence_supervisor": [
        "evidence:read",
        "evidence:content",
        "evidence:expected",
        "evidence:derive",
        "evidence:export",
        "evidence:settle",
        "disposal:request",
        "disposal:approve",
        "evidence:work",
        "evidence:supervise",
        "evidence:download",
        "evidence:reconciliation",
        "log:read",
        "roster:read",
        "health:read",
    ],
    "auditor": [
        "evidence:read",
        "evidence:reconciliation",
        "audit:read",
        "log:read",
        "log:entries",
        "roster:read",
        "health:read",
    ],
}


class AuthSection(Closed, frozen=True):
    """[auth]: roles as lists of permissions; session length."""

    roles: dict[str, list[str]] = msgspec.field(default_factory=lambda: dict(DEFAULT_ROLES))
    session_hours: Seconds = 12.0


class ObserveSection(Closed, frozen=True):
    """[observe]: logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Settings(Closed, frozen=True):
    """Everything the file can say."""

    gateway: GatewaySection = GatewaySection()
    broker: BrokerSection = BrokerSection()
    devices: DevicesSection = DevicesSection()
    driver: list[DriverSection] = msgspec.field(default_factory=list)
    roster: RosterSection = RosterSection()
    store: StoreSection = StoreSection()
    evidence: EvidenceSection = EvidenceSection()
    retention: RetentionSection = RetentionSection()
    log: LogSection = LogSection()
    timestamp: TimestampSettings = TimestampSettings()
    media: MediaSettings = MediaSettings()
    feed: FeedSettings = FeedSettings()
    map: MapSettings = MapSettings()
    dispatch: DispatchSettings = DispatchSettings()
    api: ApiSection = ApiSection()
    auth: AuthSection = AuthSection()
    observe: ObserveSection = ObserveSection()
    cot: list[CotSettings] = msgspec.field(default_factory=list)
    sharing: list[Agreement] = msgspec.field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.gateway.data)

    @property
    def keys(self) -> Path:
        """Where the keys lie: inside the data directory unless [evidence] keys says otherwise."""
        return Path(self.evidence.keys) if self.evidence.keys else self.data / "keys"

    @property
    def signers(self) -> Uris:
        """Which keys sign the log and exports."""
        return Uris(self.log.signer, self.evidence.export_signer)

    @property
    def authority(self) -> Path:
        """Where the device authority lies: below the keys unless [devices] authority says otherwise."""
        return Path(self.devices.authority) if self.devices.authority else self.keys / "authority"


def closest(word: str, words: list[str]) -> str:
    """Return ' (did you mean …?)' where one of words is near, else ''."""
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def closed(kind: type[Struct], raw: dict[str, Any], key: str) -> Struct:
    """Convert a TOML table into its struct; ConfigError names the key and the nearest known one."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    for name in raw:
        if name not in names:
            problem = f"unknown key{closest(name, names)}"
            raise ConfigError(f"{key}.{name}" if key else name, problem)
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as wrong:
        raise _named(wrong, key) from wrong


def _named(wrong: msgspec.ValidationError, key: str) -> ConfigError:
    """`Expected int, got str - at `$.port`` becomes key `api.port`."""
    said = re.fullmatch(r"(?s)(.*?)(?: - at `\$\.?(.*)`)?", str(wrong))
    problem, path = (said[1], said[2] or "") if said else (str(wrong), "")
    missing = re.fullmatch(r"Object missing required field `(.*)`", problem)
    if missing:
        problem, path = "is required", ".".join(part for part in (path, missing[1]) if part)
    elif named := re.fullmatch(r"(?s)([a-z_]+): (.*)", problem):  # a struct's own word on one of its keys
        problem, path = named[2], ".".join(part for part in (path, named[1]) if part)
    return ConfigError(".".join(part for part in (key, path) if part), problem)


def _driver(raw: object, number: int) -> DriverSection:
    key = f"driver[{number}]"
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        raise ConfigError(f"{key}.kind", "is required")
    rest = {name: part for name, part in raw.items() if name not in ("kind", "name")}
    name = raw.get("name", f"{raw['kind']}-{number + 1}")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ConfigError(f"{key}.name", f"{name!r} is not a name")
    return DriverSection(raw["kind"], name, rest)


TABLES: dict[str, type[msgspec.Struct]] = {"cot": CotSettings, "sharing": Agreement}


def _tables(kind: type[Struct], raw: object, key: str) -> list[Struct]:
    """An array of tables; ConfigError names table and key."""
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise ConfigError(key, f"write [[{key}]], one table each")
    return [closed(kind, entry, f"{key}[{number}]") for number, entry in enumerate(raw)]


def parse(raw: dict[str, Any]) -> Settings:
    """Check a decoded TOML document; ConfigError for the first thing wrong."""
    fields = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    sections: dict[str, Any] = {}
    for name, table in raw.items():
        if name not in fields:
            raise ConfigError(name, f"unknown section{closest(name, list(fields))}")
        if name == "driver":
            if not isinstance(table, list):
                raise ConfigError(name, "write [[driver]], one table a driver")
            sections[name] = [_driver(entry, number) for number, entry in enumerate(table)]
        elif name in TABLES:
            sections[name] = _tables(TABLES[name], table, name)
        elif not isinstance(table, dict):
            raise ConfigError(name, f"is a section: write [{name}]")
        else:
            sections[name] = closed(cast("type[msgspec.Struct]", fields[name]), table, name)
    return _consistent(Settings(**sections))


def _consistent(settings: Settings) -> Settings:
    """What one section alone cannot know."""
    seen: set[str] = set()
    for number, driver in enumerate(settings.driver):
        if driver.name in seen:
            raise ConfigError(f"driver[{number}].name", f"{driver.name!r} stands twice")
        seen.add(driver.name)
    check_uris(settings.signers)
    check_witnesses(settings.log)
    settings.timestamp.check()
    broker = settings.broker
    if broker.password_file and broker.password_env:
        raise ConfigError("broker.password_env", "give password_file or password_env, not both")
    if bool(broker.cert) != bool(broker.key):
        raise ConfigError("broker.key", "cert and key go together")
    check_shares(settings.store)
    check_copies(settings.store)
    check_retention(settings.retention)
    cot_settings.check_all(settings.cot)
    check_agreements(settings.sharing, zones=settings.map.zones is not None)
    return settings


def load(path: str | Path) -> Settings:
    """Read the file; ConfigError names file, key and what is wrong. Relative paths are relative to it."""
    file = Path(path)
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except OSError as wrong:
        raise ConfigError("", f"cannot be read: {wrong.strerror}", str(file)) from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ConfigError("", f"is not TOML: {wrong}", str(file)) from wrong
    try:
        settings = _rooted(parse(raw), file.resolve().parent)
        _files_exist(settings)
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, str(file)) from wrong
    return settings


def _rooted(settings: Settings, folder: Path) -> Settings:
    """Relative paths in the file mean relative to the file."""

    def rooted(text: str | None) -> str | None:
        return str(folder / text) if text is not None else None

    replace = msgspec.structs.replace
    broker = settings.broker
    return replace(
        settings,
        gateway=replace(settings.gateway, data=rooted(settings.gateway.data)),
        roster=replace(settings.roster, file=rooted(settings.roster.file)),
        map=replace(settings.map, zones=rooted(settings.map.zones)),
        store=replace(settings.store, copy_to=[str(folder / place) for place in settings.store.copy_to]),
        evidence=replace(settings.evidence, keys=rooted(settings.evidence.keys)),
        devices=replace(settings.devices, authority=rooted(settings.devices.authority)),
        timestamp=replace(settings.timestamp, ca=rooted(settings.timestamp.ca)),
        cot=[server.rooted(rooted) for server in settings.cot],
        driver=[replace(one, rest=_files_rooted(one.rest, folder)) for one in settings.driver],
        broker=replace(
            broker,
            password_file=rooted(broker.password_file),
            ca=rooted(broker.ca),
            cert=rooted(broker.cert),
            key=rooted(broker.key),
        ),
    )


def _files_rooted(rest: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A driver's own settings: what is called …_file is a file."""
    named = {name: part for name, part in rest.items() if name.endswith("_file") and isinstance(part, str)}
    return {**rest, **{name: str(folder / part) for name, part in named.items()}}


def _files_exist(settings: Settings) -> None:
    """Every file that the config names can be read."""
    broker = settings.broker
    named = {
        "roster.file": settings.roster.file,
        "map.zones": settings.map.zones,
        "timestamp.ca": settings.timestamp.ca,
        "broker.password_file": broker.password_file,
        "broker.ca": broker.ca,
        "broker.cert": broker.cert,
        "broker.key": broker.key,
        **cot_settings.files(settings.cot),
    }
    for key, name in named.items():
        if name is not None and not os.access(name, os.R_OK):
            raise ConfigError(key, f"{name} cannot be read")
    if broker.password_env and broker.password_env not in os.environ:
        raise ConfigError("broker.password_env", f"{broker.password_env} is not set")


def password(broker: BrokerSection) -> str | None:
    """The broker's password, from its file or the environment."""
    if broker.password_file:
        return Path(broker.password_file).read_text("utf-8").strip()
    return os.environ[broker.password_env] if broker.password_env else None
