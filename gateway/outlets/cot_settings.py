"""[[cot]]: a TAK server that is told of units and emergencies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from gateway.errors import ConfigError

CotType = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)+$", max_length=64)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
RATE_MAX = 100.0


class CotSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One server: where it is, how it is reached, what it may see, and how units look there.

    consumer: the agency whose it is (`[[sharing]]`), else it may see every agency's units; masked: masked ones too.
    agency, role and power choose units among them; an emergency goes to every server. rate_hz is
    a limit: a common server loses events of a connection that brings more than a hundred a second.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    host: Annotated[str, msgspec.Meta(min_length=1)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    consumer: str | None = None
    masked: bool = False
    agency: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    power: tuple[str, ...] = ()
    type: CotType = "a-f-G-U-C"
    types: dict[str, CotType] = msgspec.field(default_factory=dict)
    team: str = "Cyan"
    exercise: bool = False
    rate_hz: Annotated[float, msgspec.Meta(gt=0, le=RATE_MAX)] = RATE_MAX
    repeat_s: Seconds = 10.0
    settle_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    stall_s: Seconds = 10.0

    def check(self, key: str) -> None:
        """What one key alone does not show; ConfigError."""
        for name in ("ca", "cert", "key", "server_name"):
            if getattr(self, name) is not None and not self.tls:
                raise ConfigError(f"{key}.{name}", "is for TLS: set tls = true")
        if (self.cert is None) != (self.key is None):
            raise ConfigError(f"{key}.key", "cert and key go together")

    def rooted(self, rooted: Callable[[str | None], str | None]) -> CotSettings:
        """With its files where `rooted` says."""
        files = {"ca": rooted(self.ca), "cert": rooted(self.cert), "key": rooted(self.key)}
        return msgspec.structs.replace(self, **files)


def check_all(servers: list[CotSettings]) -> None:
    """Each by itself, and each name once; ConfigError."""
    seen: set[str] = set()
    for number, server in enumerate(servers):
        if server.name in seen:
            raise ConfigError(f"cot[{number}].name", f"{server.name!r} stands twice")
        seen.add(server.name)
        server.check(f"cot[{number}]")


def files(servers: list[CotSettings]) -> dict[str, str | None]:
    """Every file that these sections name, by key."""
    kinds = ("ca", "cert", "key")
    return {f"cot[{n}].{kind}": getattr(one, kind) for n, one in enumerate(servers) for kind in kinds}
