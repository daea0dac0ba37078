"""What the states of inputs, parts and radios mean to a person, and what to do about each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from gateway.domain.devices import Credential
from gateway.domain.time import rfc3339

Verdict = Literal["fine", "wrong", "note"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: fine, wrong, or worth knowing; what it is, and what to do."""

    about: str
    verdict: Verdict
    what: str
    do: str | None = None


class Sign(msgspec.Struct, frozen=True):
    """Words in a radio input's state and problem, and what they mean. The first that fits counts."""

    words: str
    what: str
    do: str


RENEWAL = {
    "gateway": "The running gateway renews it by itself; see its log.",
    "lapel-probe": "The running gateway renews it by itself; see its log.",
    "broker": "Run `lapel broker config` again with the same options, and send the broker SIGHUP.",
}

SIGNS = (
    Sign(
        r"refused?.*\+?CTSP|\+CTSP.*(refus|\(\d+\))|table full|profile.*refus|pid.*refus",
        "the radio refuses to hand over some kinds of message (profile registration, AT+CTSP): statuses or positions"
        " may not arrive",
        "Have the PEI and its message types enabled in the radio's programming; end other programs registered on it,"
        " then restart the radio (docs/radio-programming.md).",
    ),
    Sign(
        r"PEI in use|pei_in_use",
        "the radio's PEI is taken by another box",
        "Unplug or switch off the other equipment on this radio's accessory connector.",
    ),
    Sign(
        r"\bbusy\b|\bheld\b|also open in|exclusively|another program|resource temporarily unavailable|in use",
        "another program holds the port",
        "End that program (`lapel doctor radio -c FILE` without a gateway names it); often ModemManager or a terminal.",
    ),
    Sign(
        r"permission|not permitted",
        "the gateway may not open the port",
        "Add the gateway's user to the group that owns the port (Debian: dialout), and log in again.",
    ),
    Sign(
        r"unplug|no such (file|device)|device is gone|end of file|input/output|could not open|not there|vanished",
        "the port is not there: the radio or its lead is unplugged",
        "Plug it in; name the port by /dev/serial/by-id/…, which stays the same after a replug.",
    ),
    Sign(
        r"wrong.?speed|garbage|another speed",
        "something is heard, but not at this speed",
        "Set `baud` and `flow` as the radio's PEI is programmed; 38400, 9600 and 115200 are usual,"
        ' and baud = "probe" tries them.',
    ),
    Sign(
        r"\bdmo\b|\bdirect\b|\bin (gateway|repeater) mode",
        "the radio is in direct mode: nothing of the trunked network is heard, statuses and positions do not arrive",
        "Switch it to trunked mode (TMO), and lock the mode in its programming.",
    ),
    Sign(
        r"not.?registered|unregistered|searching|reject|no.?service|(out of|not in) service",
        "the radio is not registered on the network",
        "Check its antenna and cover; if it is rejected, have its ISSI enabled by the network's operator.",
    ),
    Sign(
        r"silent|no answer|answers? nothing|mute|stall|takes no bytes",
        "the port is open and the radio answers nothing",
        "Switch the radio on; see that the lead is a PEI lead (a programming lead is not), the PEI enabled in its"
        " programming, speed and flow control right.",
    ),
    Sign(
        r"\bstarting\b|not started|setting up|probing|\bopen\b|setup",
        "the radio is being set up",
        "Wait some seconds and ask again; if it stays so, look at its speed and its PEI programming.",
    ),
)
PARTS = {
    "feed": "The urgent log is behind: see that the data directory takes writes. The feed itself goes on.",
    "roster": "The roster cannot be read: the last one stands. See the gateway's log.",
    "journal": "The disk refuses the journal: make room, or see that the data directory takes writes.",
    "evidence": "The evidence store refuses or is shut: make room; see `lapel evidence verify --all`.",
    "inputs": "An input is not up: see the findings on each.",
    "media": "Install the ffmpeg commands and name them in [media], or set [media] enabled = false.",
    "copies": "A second place is away, full or another's: see `lapel evidence copies`. Ingest goes on.",
    "cot": "A TAK server is not connected: `lapel doctor -c FILE` tries each. Emergencies for it wait.",
    "broker": "The broker may not keep devices apart: see the finding on broker-rights.",
}
HEALTHY = ("up", "ok")
ATTACH = "Have the group selected or scanned in a gateway radio's programming, and prove it by a call."


def radio(name: str, state: str, problem: str | None) -> Finding:
    """A radio input in plain words."""
    if state in HEALTHY and not problem:
        return Finding(name, "fine", "the radio answers and is set up")
    said = f"{state} {problem or ''}".strip()
    quoted = f" (it says: {problem})" if problem else ""
    for sign in SIGNS:
        if re.search(sign.words, said, re.IGNORECASE):
            return Finding(name, "wrong", f"{sign.what}{quoted}", sign.do)
    return Finding(name, "wrong", f"the input is {said}", "See the gateway's log under this input's name.")


def other(name: str, state: str, problem: str | None) -> Finding:
    """An input that is no radio."""
    if state in HEALTHY and problem:
        return Finding(name, "note", problem, "Renew them in time: `lapel device renew`, `lapel broker config`.")
    if state in HEALTHY:
        return Finding(name, "fine", "up")
    if problem and "enforce" in problem:
        return Finding(name, "wrong", problem, "Run the broker on what `lapel broker config` writes.")
    said = f"{state}: {problem}" if problem else state
    return Finding(name, "wrong", said, "See that its broker runs and takes this gateway's credentials.")


def certificates(lapsing: Sequence[Credential], days: int, known: int) -> list[Finding]:
    """Certificates that end soon, each with what to do."""
    if known and not lapsing:
        return [Finding("certificates", "fine", f"none lapses within {days} days")]
    return [
        Finding(
            f"certificate of {each.device}",
            "note",
            f"holds until {rfc3339(each.not_after)}",
            RENEWAL.get(each.device, f"lapel device renew {each.device}, or let the device ask for it."),
        )
        for each in lapsing
    ]


def parts(states: Mapping[str, str]) -> list[Finding]:
    """The parts of a gateway."""
    return [_part(name, state) for name, state in states.items()]


def _part(name: str, state: str) -> Finding:
    if state == "ok":
        return Finding(name, "fine", "ok")
    verdict: Verdict = "note" if state.startswith("off") else "wrong"
    return Finding(name, verdict, state, PARTS.get(name, "See the gateway's log."))


class Radio(msgspec.Struct, frozen=True):
    """A radio input as the gateway tells of it; talkgroup is the selected group's number, None where it is not said."""

    name: str
    state: str
    problem: str | None
    talkgroup: int | None = None

    @property
    def heard(self) -> bool:
        """Whether anything on the network can be heard through it."""
        return self.state in HEALTHY

    def __str__(self) -> str:
        """Its name, and the group that it is attached to."""
        return self.name if self.talkgroup is None else f"{self.name} (group {self.talkgroup} selected)"


def coverage(radios: Sequence[Radio]) -> list[Finding]:
    """Which modes can be heard at all: an emergency sent where nobody listens is lost to the gateway."""
    up = [str(one) for one in radios if one.heard]
    if not up:
        return [
            Finding(
                "coverage",
                "wrong",
                "no radio input is up: radio emergencies, statuses and positions are NOT COVERED",
                "Mend one of the radio inputs above. The voice emergency path goes on without this gateway.",
            )
        ]
    return [
        Finding("coverage", "fine", f"trunked mode is heard by {', '.join(up)}"),
        Finding(
            "coverage",
            "note",
            "direct mode (DMO), and the emergency calls of groups that none of these radios is attached to or scans,"
            " are NOT COVERED",
            "Attach or scan every group whose emergency calls must be heard (docs/radio-programming.md).",
        ),
    ]


def groups(known: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Each talkgroup whose emergencies must be heard."""
    return [_group(one) for one in known]


def _group(one: Mapping[str, Any]) -> Finding:
    about, which = f"group {one['gssi']}", one["name"]
    if one["cover"] == "covered":
        return Finding(about, "fine", f"{which}: covered by {', '.join(one['by'])}")
    if one["cover"] == "not_known":
        return Finding(about, "note", f"{which}: not known whether it is covered: {one['why']}", ATTACH)
    return Finding(about, "wrong", f"not covered: {which}: {one['why']}", ATTACH)


def handsets(known: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Each radio of an officer: in reach, and its emergency path proven or not."""
    return [_handset(one) for one in known]


def _handset(one: Mapping[str, Any]) -> Finding:
    about, reach, proven_at = f"issi {one['issi']}", one["reach"], one["proven_at"]
    whose = one["unit"] or "no unit"
    if proven_at is None:
        what, do = "emergency path not proven", "Send the test status from this radio once a shift."
    else:
        what, do = f"emergency path proven {proven_at[11:16]} ({proven_at[:10]}, by {one['proven_via']})", None
    quiet = reach in ("ok", "unknown")
    said = f"{whose}: {what}" if reach == "ok" else f"{whose}: {what}; reach {reach}"
    return Finding(about, "fine" if quiet and do is None else "note", said, do)
