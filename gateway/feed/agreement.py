"""[[sharing]]: which units of one agency another's consumers see, which fields of them, and when. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from gateway.errors import ConfigError
from gateway.feed.agency import Agency
from gateway.feed.standing import Standing
from gateway.feed.trimming import Field

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[sharing]]: of which owner's units the consumer sees what, and when.

    Any of the roles, every power, in any of the zones. `always`, or while an `emergency` is open (of any of these
    agencies, where some are named) and only units within so many metres of it. without: fields left out.
    """

    consumer: Agency
    owner: Agency
    role: tuple[Word, ...] = ()
    power: tuple[Word, ...] = ()
    zone: tuple[Word, ...] = ()
    without: tuple[Field, ...] = ()
    tracks: bool = False
    tasks: bool = False
    when: Literal["always", "emergency"] = "always"
    within_m: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    of: tuple[Agency, ...] = ()

    def covers(self, standing: Standing) -> bool:
        """Whether a unit is one of those meant, as it stands."""
        roll = standing.roll
        return (
            roll.unit.agency == self.owner
            and (not self.role or roll.role in self.role)
            and all(power in roll.powers for power in self.power)
            and (not self.zone or any(zone in self.zone for zone in standing.zones or ()))
        )

    @property
    def whole(self) -> bool:
        """Whether every unit of the owner is meant, at any time."""
        return self.when == "always" and not (self.role or self.power or self.zone)

    def check(self, key: str) -> None:
        """What one key alone does not show; ConfigError."""
        if self.consumer == self.owner:
            raise ConfigError(f"{key}.owner", "an agency always sees its own units")
        if (self.when == "emergency") != (self.within_m is not None):
            raise ConfigError(f"{key}.within_m", 'goes with when = "emergency", and that with it')
        if self.of and self.when == "always":
            raise ConfigError(f"{key}.of", 'goes with when = "emergency"')
        for name in ("tracks", "tasks"):
            if getattr(self, name) and (self.without or self.zone or self.when == "emergency"):
                raise ConfigError(f"{key}.{name}", "would tell what without, zone or when keep back")


def check_zones(agreements: Sequence[Agreement], ids: Sequence[str]) -> None:
    """Every zone named is one; ConfigError: a typing error would show nobody, for ever."""
    for number, each in enumerate(agreements):
        for zone in each.zone:
            if zone not in ids:
                near = difflib.get_close_matches(zone, ids, n=1, cutoff=0.6)
                guess = f" (did you mean {near[0]!r}?)" if near else ""
                raise ConfigError(f"sharing[{number}].zone", f"there is no zone {zone!r}{guess}")


def check_all(agreements: Sequence[Agreement], *, zones: bool) -> None:
    """Each by itself, and none twice; ConfigError."""
    for number, each in enumerate(agreements):
        key = f"sharing[{number}]"
        each.check(key)
        if each.zone and not zones:
            raise ConfigError(f"{key}.zone", "there are no zones: name their file as [map] zones")
        if each in agreements[:number]:
            raise ConfigError(key, "stands twice")
