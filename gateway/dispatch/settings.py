"""The `[dispatch]` section of the configuration: how tasks go out, and what an officer's statuses say of them."""

from __future__ import annotations

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Code = Annotated[int, msgspec.Meta(ge=0, le=16)]
AMBIGUOUS = "stands for two answers"


class DispatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tries and patience, duty codes that answer a task, what goes to a radio besides tasks.

    temporary_codes are the refusals of a radio (CME error numbers) after which another try may help.
    ack_text goes to the officer's radio when a named person has acknowledged the emergency; None: nothing does,
    since a radio that lights up betrays a silent alarm. keep_days: tasks that are over go so long after
    they were made, from the response times too; None: never. emergency_interval_s 0 leaves reporting intervals alone.
    """

    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    retry_first_s: Seconds = 2.0
    retry_cap_s: Seconds = 60.0
    patience_s: Seconds = 300.0
    open_max: Annotated[int, msgspec.Meta(ge=1)] = 1_000
    temporary_codes: tuple[int, ...] = (0, 1, 2, 30, 31, 37, 42)
    accepted: tuple[Code, ...] = (15,)
    refused: tuple[Code, ...] = ()
    en_route: tuple[Code, ...] = (5,)
    at_scene: tuple[Code, ...] = (6,)
    done: tuple[Code, ...] = (2,)
    repeat_mark: str = "(repeat) "
    cancel_mark: str | None = "CANCELLED: "
    locate: bool = True
    locate_every_s: Seconds = 60.0
    emergency_interval_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 10
    ack_text: str | None = None
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None

    def __post_init__(self) -> None:
        """One code has one meaning."""
        codes = [*self.accepted, *self.refused, *self.en_route, *self.at_scene, *self.done]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"duty code {twice[0]} {AMBIGUOUS}")
