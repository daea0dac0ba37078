"""What a radio has said of itself: who and where it is, its mode, its calls (EN 300 392-5 clause 6). Sans-IO."""

from __future__ import annotations

from drivers.tetra.pei import Address, address

REGISTRATION = ("searching", "home", "not registered", "rejected", "unknown", "visited")
IN_SERVICE = frozenset({1, 5})
UNKNOWN = 4
MODES = ("trunked", "direct", "trunked, watching direct", "direct, watching trunked", "both", "gateway", "repeater")
DIRECT = frozenset({1, 3, 5, 6})
"""Modes in which nothing can be sent to the network (+CTOM)."""
NO_SIGNAL = 99
SELECTED = 1
_LISTENED = range(SELECTED, 8)
MOST_GROUPS = 2_000
"""Security limit: as many groups as a radio is known to hold."""
_CALL_GOES_ON = frozenset({"+CTICN", "+CTOCP", "+CTCC", "+CTXG", "+CDTXC"})
_HANG_TIME_OVER = "4"


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


class RadioState:
    """The last word on each thing; None or empty where the radio has not said."""

    def __init__(self, call_limit_s: float = 120.0) -> None:
        self.make = self.model = self.revision = ""
        self.number: Address | None = None
        self.registration: int | None = None
        self.mode: int | None = None
        self.signal_dbm: int | None = None
        self.battery_pct: int | None = None
        self.talkgroup: Address | None = None
        self._groups: dict[int, int] = {}
        self._told: set[int] = set()
        self._call_limit_s = call_limit_s
        self._calls: dict[str, float] = {}

    @property
    def registered(self) -> bool | None:
        """Whether the network has us; None where the radio does not know or say."""
        return None if self.registration in {None, UNKNOWN} else self.registration in IN_SERVICE

    @property
    def direct(self) -> bool:
        """In a mode without the network."""
        return self.mode in DIRECT

    def busy_until(self) -> float:
        """When the last call known of is over at the latest: its release may have been lost."""
        return max(self._calls.values(), default=0.0)

    def forget_calls(self) -> None:
        """A radio that restarted is in none."""
        self._calls.clear()

    def groups(self) -> tuple[int, ...]:
        """The groups it says it is attached to or scans, by number; none where it has said nothing."""
        return tuple(sorted(self._groups))

    def asked(self, command: str) -> None:
        """Where groups are asked for anew, one that it did not name since it was last asked is one no longer."""
        if command == "AT+CTGS?":
            self._groups = {gssi: kind for gssi, kind in self._groups.items() if gssi in self._told}
            self._told = set()

    def take(self, name: str, text: str, now_s: float) -> None:
        """A named line: keep what it says."""
        fields = [field.strip() for field in text.split(",")]
        if name in _CALL_GOES_ON or name == "+CTCR":
            self._call(name, fields, now_s)
        elif name in {"+GMI", "+GMM", "+GMR"}:
            setattr(self, {"+GMI": "make", "+GMM": "model", "+GMR": "revision"}[name], text)
        elif name == "+CNUMF":
            self.own_number(text)
        else:
            self._figure(name, fields)

    def own_number(self, text: str) -> None:
        """`number type,identity`, one a line; the first identity that is an SSI or a TSI is ours."""
        _, _, digits = text.partition(",")
        found = address(digits.split(",")[0].strip())
        if self.number is None and found is not None and found.ssi is not None:
            self.number = found

    def _call(self, name: str, fields: list[str], now_s: float) -> None:
        """A call goes on until its release, the end of its hang time, or the longest that any may last."""
        over = name == "+CTCR" or (name == "+CTICN" and fields[1:2] == [_HANG_TIME_OVER])
        if over:
            self._calls.pop(fields[0], None)
        elif fields[0] in self._calls or len(self._calls) < 16:
            self._calls[fields[0]] = now_s + self._call_limit_s

    def _figure(self, name: str, fields: list[str]) -> None:
        first = _number(fields[0])
        if name == "+CREG" and first is not None:
            self.registration = first
        elif name == "+CTOM" and first is not None:
            self.mode = first
        elif name == "+CSQ" and first is not None:
            self.signal_dbm = None if first == NO_SIGNAL else 2 * first - 113
        elif name == "+CBC" and len(fields) > 1:
            self.battery_pct = _number(fields[1])
        elif name == "+CTGS" and len(fields) > 1 and first is not None:
            self._group(first, address(fields[1]))

    def _group(self, kind: int, group: Address | None) -> None:
        """+CTGS: 0 left, 1 selected (one at a time), 2 to 7 scanned; a scan list may span lines (clause 6)."""
        if group is None or group.ssi is None:
            return
        self._groups.pop(group.ssi, None)
        self._told.discard(group.ssi)
        if kind == SELECTED:
            self.talkgroup = group
            self._groups = {gssi: what for gssi, what in self._groups.items() if what != SELECTED}
        if kind in _LISTENED and len(self._groups) < MOST_GROUPS:
            self._groups[group.ssi] = kind
            self._told.add(group.ssi)

    def forgot(self, name: str, registered: bool | None, mode: int | None, *, asked: bool) -> bool:  # noqa: FBT001 - what was so before is no flag
        """Registrations survive neither a change of mode nor a restart, which a return into service may be."""
        if name == "+CREG":
            return registered is False and self.registered is True
        return name == "+CTOM" and (self.mode != mode or not asked)

    def problem(self) -> str:
        """What stands in the way of hearing and being heard, in words; empty where nothing is known."""
        if self.direct and self.mode is not None:
            return f"in {MODES[self.mode]} mode: nothing reaches the network"
        if self.registered is False and self.registration is not None:
            known = self.registration < len(REGISTRATION)
            return f"not in service ({REGISTRATION[self.registration] if known else self.registration})"
        return ""

    def figures(self) -> dict[str, int]:
        """All that is a number, for the health of the input."""
        known = {
            "registration": self.registration,
            "mode": self.mode,
            "signal_dbm": self.signal_dbm,
            "battery_pct": self.battery_pct,
            "own_issi": None if self.number is None else self.number.ssi,
            "talkgroup": None if self.talkgroup is None else self.talkgroup.ssi,
        }
        return {name: value for name, value in known.items() if value is not None}
