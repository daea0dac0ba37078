"""known-defects.toml: what is known of released versions, read from the release or from a newer copy."""

from __future__ import annotations

import tomllib
from importlib.resources import files as resources
from pathlib import Path
from typing import Annotated

import msgspec

from gateway.errors import ConfigError

KEY = "evidence.known_defects"


class Defect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A known defect: its name, the versions that have it, and what it does."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    versions: tuple[str, ...]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    defect: list[Defect] = []


def known_defects(path: str | None = None) -> list[Defect]:
    """The release's, and those of a newer copy, whose word counts; ConfigError names file and key."""
    shipped = resources("gateway.evidence.export").joinpath("known-defects.toml").read_text("utf-8")
    found = {each.id: each for each in _read(shipped, "known-defects.toml")}
    if path is not None:
        try:
            found |= {each.id: each for each in _read(Path(path).read_text("utf-8"), path)}
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError(KEY, f"cannot be read: {problem}", path) from problem
    return list(found.values())


def _read(text: str, name: str) -> list[Defect]:
    try:
        return msgspec.convert(tomllib.loads(text), _Known).defect
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as wrong:
        raise ConfigError(KEY, str(wrong), name) from wrong
