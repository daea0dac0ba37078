"""A dock's configuration: one small TOML file, closed, read once (config/dock.toml is the commented example)."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.domain.ids import device_id
from gateway.errors import ConfigError
from gateway.evidence.settings import Closed, Seconds
from gateway.settings import BrokerSection, closed

After = Literal["keep", "move", "delete"]


class DockSection(Closed, frozen=True):
    """[dock]: who this is, where its memory lies, whose receipts it believes, and what becomes of a file then."""

    id: str
    log_key: str
    state: str = "dock-state"
    after: After = "keep"
    move_to: str | None = None
    scan_s: Seconds = 5.0
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    parallel: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    segment_kib: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 1024


class FolderSection(Closed, frozen=True):
    """[[folder]]: where recordings appear, which files are recordings, and whose they are."""

    path: str
    device_from: Literal["fixed", "folder", "label", "name", "file"] = "folder"
    device: str | None = None
    serial_file: str | None = None
    name: str | None = None
    time_format: str | None = None
    time_zone: str = "UTC"
    recordings: tuple[str, ...] = ("*.mp4", "*.mov", "*.avi", "*.mkv", "*.ts")
    beside: tuple[str, ...] = ()
    finished_by: str | None = None
    recording_id: Literal["content", "name"] = "content"


class DockSettings(Closed, frozen=True):
    """Everything the file can say."""

    dock: DockSection
    broker: BrokerSection
    folder: tuple[FolderSection, ...]
    serials: dict[str, str]
    key: VerifierKey


def load(file: str | Path) -> DockSettings:
    """Read the file; ConfigError names file, key and what is wrong. Relative paths are relative to the file."""
    path = Path(file)
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as wrong:
        raise ConfigError("", f"cannot be read: {wrong.strerror}", str(path)) from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ConfigError("", f"is not TOML: {wrong}", str(path)) from wrong
    try:
        return _parse(raw, path.resolve().parent)
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, str(path)) from wrong


def _parse(raw: dict[str, Any], root: Path) -> DockSettings:
    for name in raw:
        if name not in ("dock", "broker", "folder", "serials"):
            raise ConfigError(name, "unknown section")
    dock = closed(DockSection, _table(raw, "dock"), "dock")
    broker = closed(BrokerSection, _table(raw, "broker"), "broker")
    folders = raw.get("folder", [])
    if not isinstance(folders, list) or not folders:
        raise ConfigError("folder", "write [[folder]], one table a place where recordings appear")
    sections = tuple(_folder(table, f"folder[{number}]", root) for number, table in enumerate(folders))
    serials = _serials(_table(raw, "serials"))
    _checked(device=dock.id, key="dock.id")
    rooted = {name: _below(root, getattr(dock, name)) for name in ("state", "move_to", "log_key")}
    dock = msgspec.structs.replace(dock, **rooted)
    _consistent(dock, sections)
    return DockSettings(dock, _broker(broker, root), sections, serials, _pinned(dock.log_key))


def _consistent(dock: DockSection, folders: tuple[FolderSection, ...]) -> None:
    """What one section alone cannot know."""
    if (dock.after == "move") != (dock.move_to is not None):
        raise ConfigError("dock.move_to", 'goes with after = "move", and only with it')
    for number, folder in enumerate(folders):
        if dock.move_to is not None and Path(dock.move_to).resolve().is_relative_to(Path(folder.path).resolve()):
            raise ConfigError("dock.move_to", f"lies in folder[{number}].path: what is moved would be found again")


def _broker(broker: BrokerSection, root: Path) -> BrokerSection:
    if broker.embedded:
        raise ConfigError("broker.embedded", "a dock speaks to a broker, it is none")
    if bool(broker.cert) != bool(broker.key):
        raise ConfigError("broker.key", "cert and key go together")
    if broker.password_env is not None and broker.password_env not in os.environ:
        raise ConfigError("broker.password_env", f"{broker.password_env} is not set")
    paths = {name: _below(root, getattr(broker, name)) for name in ("ca", "cert", "key", "password_file")}
    for name, text in paths.items():
        if text is not None and not Path(text).is_file():
            raise ConfigError(f"broker.{name}", f"{text} cannot be read")
    return msgspec.structs.replace(broker, **paths)


def _folder(table: object, key: str, root: Path) -> FolderSection:
    if not isinstance(table, dict):
        raise ConfigError(key, "is a table: write [[folder]]")
    folder = closed(FolderSection, table, key)
    wanted = {"fixed": "device", "name": "name", "file": "serial_file"}.get(folder.device_from)
    if wanted is not None and getattr(folder, wanted) is None:
        raise ConfigError(f"{key}.{wanted}", f'goes with device_from = "{folder.device_from}"')
    if folder.device is not None:
        _checked(folder.device, f"{key}.device")
    groups = _groups(folder.name, f"{key}.name")
    if folder.device_from == "name" and "serial" not in groups:
        raise ConfigError(f"{key}.name", "has no group (?P<serial>…)")
    if folder.time_format is not None and "time" not in groups:
        raise ConfigError(f"{key}.time_format", "goes with a group (?P<time>…) in name")
    try:
        ZoneInfo(folder.time_zone)
    except (KeyError, ValueError, OSError) as wrong:
        raise ConfigError(f"{key}.time_zone", f"{folder.time_zone!r} is no time zone") from wrong
    return msgspec.structs.replace(folder, path=_below(root, folder.path))


def _groups(pattern: str | None, key: str) -> frozenset[str]:
    try:
        return frozenset(re.compile(pattern or "").groupindex)
    except re.error as wrong:
        raise ConfigError(key, f"is no regular expression: {wrong}") from wrong


def _serials(table: dict[str, Any]) -> dict[str, str]:
    for serial, device in table.items():
        if not isinstance(device, str):
            raise ConfigError(f"serials.{serial}", "is the device's id, a text")
        _checked(device, f"serials.{serial}")
    return table


def _checked(device: str, key: str) -> None:
    try:
        device_id(device)
    except ValueError as wrong:
        raise ConfigError(key, str(wrong)) from wrong


def _pinned(file: str) -> VerifierKey:
    try:
        return parse_vkey(Path(file).read_text("utf-8").strip())
    except OSError as wrong:
        raise ConfigError("dock.log_key", f"{file} cannot be read: {wrong.strerror}") from wrong
    except ValueError as wrong:
        raise ConfigError("dock.log_key", f"{file}: {wrong}") from wrong


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(name, f"is a section: write [{name}]")
    return table


def _below(root: Path, text: str | None) -> str | None:
    return None if text is None else str(root / text)
