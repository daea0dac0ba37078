"""[timestamp]: who sets times on exports."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.errors import ConfigError


class TimestampSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any RFC 3161 authority by its address, or the embedded one (demonstration, tests); neither: no time-stamps.

    operator: who runs it. Only one that is named, and is not the log's own, is called independent.
    """

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s#]+$")] | None = None
    ca: str | None = None
    operator: str | None = None
    embedded: bool = False
    patience_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0

    def check(self) -> None:
        """What one key alone does not show; ConfigError."""
        if self.url is not None and self.embedded:
            raise ConfigError("timestamp.embedded", "give url or embedded, not both")
        if (self.url is None) != (self.ca is None):
            raise ConfigError("timestamp.ca", "url and ca (the authority's certificate, PEM) go together")

    def label(self, log_operator: str | None) -> str:
        """What a time-stamp of this authority proves, seen from outside: independent, self-asserted or none."""
        if self.url is None:
            return "self-asserted" if self.embedded else "none"
        return "independent" if self.operator not in (None, log_operator) else "self-asserted"
