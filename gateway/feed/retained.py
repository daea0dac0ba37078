"""What is to lie retained on a broker, and what has still to be said of it. Pure: the feed's records in, messages out.

Three lanes. Urgent: emergencies and duty changes, each as it came. Then clears: a topic that no longer belongs
is emptied, once however often that is asked for. Then state: of each topic the newest alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from gateway.feed.duty import Duty, DutySource
from gateway.feed.sse import Block, cursor

ROOT = "lapel/v1/feed"
URGENT_MAX = 10_000
SLICE = 500
Lane = Literal["urgent", "clear", "state"]


class Message(msgspec.Struct, frozen=True):
    """One message to a topic; lane says what becomes of it where it could not be sent."""

    topic: str
    payload: bytes
    retain: bool
    lane: Lane


class _Properties(msgspec.Struct):
    seq: int
    agency: str
    duty: Duty
    overtime: bool = False


class _Feature(msgspec.Struct):
    id: str
    properties: _Properties


class _DutyChange(msgspec.Struct):
    seq: int
    unit: str
    code: int
    state: str
    deployable: bool
    since: str
    incident: str | None
    source: DutySource
    overtime: bool = False


class _DutyFrame(msgspec.Struct):
    """A duty as it lies retained; its topic says whose it is."""

    v: int
    seq: int
    code: int
    state: str
    deployable: bool
    since: str
    incident: str | None
    source: DutySource
    overtime: bool


class _Removed(msgspec.Struct):
    unit: str


class _Emergency(msgspec.Struct):
    id: str
    state: str


class _Whole(msgspec.Struct):
    features: list[msgspec.Raw]
    emergencies: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


class _Named(msgspec.Struct):
    instance: str = ""


class _Shown(msgspec.Struct):
    """A unit whose topics are ours to fill: its agency, and the duty that they say."""

    agency: str
    duty: Duty
    overtime: bool


class Retained:
    """The topics of one instance: what lies there, and what waits to be sent."""

    def __init__(self, instance: str, root: str = ROOT) -> None:
        self.instance, self.root, self.heir_of = instance, root, ""
        self.urgent: deque[Message] = deque()
        self.clears: dict[str, None] = {}
        self.state: dict[str, bytes] = {}
        self.emergencies: dict[str, bytes] = {}
        self.unreadable = self.merged = 0
        self._shown: dict[str, _Shown] = {}
        self._epoch, self._mark = "", b""
        self._takers: dict[str, Callable[[bytes], None]] = {
            "position": self._position,
            "duty": self._duty,
            "removed": self._removed,
            "emergency": self._emergency,
        }

    @property
    def units(self) -> int:
        """Units whose topics are filled."""
        return len(self._shown)

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return len(self.urgent) + len(self.clears) + len(self.state)

    # --- in

    def take(self, block: Block) -> Iterator[None]:
        """Take one record of the feed; a long one in parts, so that others have their turn between them."""
        found = cursor(block.id)
        self.stamp(found[0] if found is not None else self._epoch)
        if block.event == "snapshot":
            yield from self.whole(block.payload)
        elif (taker := self._takers.get(block.event)) is not None:
            self._read(taker, block.payload)

    def stamp(self, epoch: str) -> None:
        """Everything from here on is of this epoch."""
        if epoch != self._epoch or not self._mark:
            named = msgspec.json.encode({"instance": self.instance, "epoch": epoch})
            self._epoch, self._mark = epoch, b"," + named[1:]

    def whole(self, payload: bytes) -> Iterator[None]:
        """All there is: everything is said anew, and what is not in it is cleared."""
        try:
            all_of_it = msgspec.json.decode(payload, type=_Whole)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            return
        before, self._shown = self._shown, {}
        for number, feature in enumerate(all_of_it.features):
            self._read(self._position, bytes(feature))
            if number % SLICE == SLICE - 1:
                yield
        for unit, shown in before.items():
            now = self._shown.get(unit)
            if now is None or now.agency != shown.agency:
                self._clear_unit(unit, shown.agency)
        if all_of_it.emergencies is not msgspec.UNSET:
            self._only(all_of_it.emergencies)

    def _only(self, emergencies: list[msgspec.Raw]) -> None:
        """These are open; any other that lies retained is over."""
        before, self.emergencies = self.emergencies, {}
        for one in emergencies:
            self._read(self._emergency, bytes(one))
        for number in before.keys() - self.emergencies.keys():
            self.urgent.append(Message(emergency_topic(number, self.root), b"", retain=True, lane="urgent"))

    def again(self) -> None:
        """Behind a lost connection each open emergency is said once more; the units' state comes as a whole."""
        for number, payload in self.emergencies.items():
            self.urgent.append(Message(emergency_topic(number, self.root), payload, retain=True, lane="urgent"))

    def unsent(self, messages: list[Message]) -> None:
        """These may never have arrived, in this order: they go first of all, unless newer state has their place."""
        for message in reversed(messages):
            if message.lane == "urgent":
                self.urgent.appendleft(message)
            elif message.lane == "clear" and not self.belongs(message.topic):
                self.clears[message.topic] = None

    def stale(self, found: dict[str, bytes]) -> int:
        """Clear what lies retained and is of this instance, or of nobody, and no longer belongs; say how many.

        So too the units of the instance whose heir this one is. Not its emergencies: one that was raised there alone
        is known to nobody else, and its topic is all that is left of it.
        """
        gone = [topic for topic, payload in found.items() if ours(topic, self.root) and self._mine(topic, payload)]
        gone = [topic for topic in gone if not self.belongs(topic)]
        self.clears.update(dict.fromkeys(gone))
        return len(gone)

    def _mine(self, topic: str, payload: bytes) -> bool:
        alarm = topic.startswith(f"{self.root}/emergency/")
        whose = ("", self.instance) if alarm else ("", self.instance, self.heir_of)
        try:
            return msgspec.json.decode(payload, type=_Named).instance in whose
        except (msgspec.DecodeError, UnicodeDecodeError):
            return True

    def belongs(self, topic: str) -> bool:
        """Whether something is to lie there."""
        levels = topic.removeprefix(f"{self.root}/").split("/")
        if levels[0] == "emergency":
            return levels[-1] in self.emergencies
        shown = self._shown.get(levels[2])
        return shown is not None and shown.agency == levels[0]

    def _read(self, taker: Callable[[bytes], None], payload: bytes) -> None:
        try:
            taker(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1

    def _position(self, payload: bytes) -> None:
        told = msgspec.json.decode(payload, type=_Feature)
        unit, what = told.id, told.properties
        if not (_level(unit) and _level(what.agency)):
            self.unreadable += 1  # no topic can bear such a name
            return
        known = self._shown.get(unit)
        if known is not None and known.agency != what.agency:
            self._clear_unit(unit, known.agency)
            known = None
        if known is None or (known.duty, known.overtime) != (what.duty, what.overtime):
            self._shown[unit] = _Shown(what.agency, what.duty, what.overtime)
            duty_topic = unit_topic(what.agency, unit, "duty", self.root)
            self._put(duty_topic, _duty_frame(what.seq, what.duty, overtime=what.overtime))
        self._put(unit_topic(what.agency, unit, "position", self.root), payload)

    def _duty(self, payload: bytes) -> None:
        """A change at once; of a unit that is not shown nothing is said, its feature brings its duty when it is."""
        told = msgspec.json.decode(payload, type=_DutyChange)
        shown = self._shown.get(told.unit)
        if shown is None:
            return
        duty = Duty(told.code, told.state, told.deployable, told.since, told.incident, told.source)
        shown.duty, shown.overtime = duty, told.overtime
        topic = unit_topic(shown.agency, told.unit, "duty", self.root)
        self.state.pop(topic, None)
        self.clears.pop(topic, None)
        frame = self._framed(_duty_frame(told.seq, duty, overtime=told.overtime))
        self.urgent.append(Message(topic, frame, retain=True, lane="urgent"))

    def _removed(self, payload: bytes) -> None:
        unit = msgspec.json.decode(payload, type=_Removed).unit
        shown = self._shown.pop(unit, None)
        if shown is not None:
            self._clear_unit(unit, shown.agency)

    def _clear_unit(self, unit: str, agency: str) -> None:
        for leaf in ("position", "duty"):
            topic = unit_topic(agency, unit, leaf, self.root)
            self.state.pop(topic, None)
            self.clears[topic] = None

    def _emergency(self, payload: bytes) -> None:
        """Retained while it is open. That it is over goes to whoever listens now; then its topic is empty."""
        told = msgspec.json.decode(payload, type=_Emergency)
        topic, framed = emergency_topic(told.id, self.root), self._framed(payload)
        if told.state != "cleared":
            self.emergencies[told.id] = framed
            self.urgent.append(Message(topic, framed, retain=True, lane="urgent"))
            return
        self.emergencies.pop(told.id, None)
        self.urgent.append(Message(topic, framed, retain=False, lane="urgent"))
        self.urgent.append(Message(topic, b"", retain=True, lane="urgent"))

    def _put(self, topic: str, payload: bytes) -> None:
        self.merged += topic in self.state
        self.state[topic] = self._framed(payload)

    def _framed(self, payload: bytes) -> bytes:
        """Each message says which instance sends it, and in which epoch its number counts."""
        return payload[:-1] + self._mark

    # --- out

    def next(self) -> Message | None:
        """What is to be sent next."""
        if self.urgent:
            return self.urgent.popleft()
        if self.clears:
            topic = next(iter(self.clears))
            del self.clears[topic]
            return Message(topic, b"", retain=True, lane="clear")
        if self.state:
            topic = next(iter(self.state))
            return Message(topic, self.state.pop(topic), retain=True, lane="state")
        return None


def unit_topic(agency: str, unit: str, leaf: str, root: str = ROOT) -> str:
    """Where a unit's position or duty lies."""
    return f"{root}/{agency}/unit/{unit}/{leaf}"


def emergency_topic(number: str, root: str = ROOT) -> str:
    """Where an emergency lies."""
    return f"{root}/emergency/{number}"


def ours(topic: str, root: str = ROOT) -> bool:
    """Whether a topic is one that we fill."""
    levels = topic.removeprefix(f"{root}/").split("/")
    if not topic.startswith(f"{root}/"):
        return False
    if levels[0] == "emergency":
        return len(levels) == 2
    return len(levels) == 4 and levels[1] == "unit" and levels[3] in ("position", "duty")


def _level(name: str) -> bool:
    return bool(name) and not set("/+#\0") & set(name)


def _duty_frame(seq: int, duty: Duty, *, overtime: bool) -> bytes:
    parts = (duty.code, duty.state, duty.deployable, duty.since, duty.incident, duty.source)
    return msgspec.json.encode(_DutyFrame(1, seq, *parts, overtime))
