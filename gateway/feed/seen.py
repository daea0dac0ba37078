"""The feed as one view sees it: what every outlet asks in place of the feed itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.feed import encode
from gateway.feed.consumer import Consumer, Kind
from gateway.feed.emergencies import EmergencyRecord
from gateway.feed.feed import Feed
from gateway.feed.filters import ALL, Filters
from gateway.feed.handsets import Handset
from gateway.feed.messages import Message
from gateway.feed.settings import FeedSettings
from gateway.feed.sharing import NOTHING, Names
from gateway.feed.turn import Turn
from gateway.feed.urgent_lines import UrgentRecord
from gateway.feed.view import View
from gateway.feed.wanted import Candidate, Ranking, Wanted
from gateway.feed.zone_cover import ZoneCover


class Seen:
    """Queries and subscriptions; what is not to be seen is not there."""

    def __init__(self, feed: Feed, view: View) -> None:
        self.view = view
        self._feed, self._sharing = feed, feed.sharing

    @property
    def epoch(self) -> str:
        """The stream's epoch."""
        return self._feed.epoch

    @property
    def seq(self) -> int:
        """The last number given."""
        return self._feed.seq

    @property
    def settings(self) -> FeedSettings:
        """How the feed is set."""
        return self._feed.settings

    @property
    def turn(self) -> Turn:
        """Whose turn it is to make something long."""
        return self._feed.turn

    # --- units

    def unsubscribe(self, consumer: Consumer) -> None:
        """This consumer is gone."""
        self._feed.unsubscribe(consumer)

    def subscribe(self, cursor: str | None, filters: Filters = ALL, kind: Kind = Consumer) -> Consumer:
        """Follow the feed."""
        return self._feed.subscribe(cursor, self._within(filters), kind)

    def snapshot(self, filters: Filters = ALL) -> bytes:
        """Every unit as a GeoJSON FeatureCollection."""
        return self._feed.snapshot(self._within(filters))

    def collection(self, filters: Filters = ALL) -> Iterator[bytes]:
        """The same in pieces, each made when it is asked for."""
        return self._feed.collection(self._within(filters))

    def _within(self, filters: Filters) -> Filters:
        return msgspec.structs.replace(filters, view=self.view)

    def unit(self, name: str) -> bytes | None:
        """One unit's Feature; None for one that is not on the feed."""
        standing = self._sharing.standing(self.view, name)
        feature = None if standing is None else self._feed.unit(name)
        if standing is None or feature is None:
            return None
        return self._sharing.shown(self.view, standing, feature)

    def knows(self, unit: str) -> bool:
        """Whether there is such a unit, on duty or off."""
        return self._sharing.standing(self.view, unit) is not None

    def nearest(self, wanted: Wanted) -> Ranking:
        """The units that fit, ranked."""
        found = self._feed.nearest(wanted, self.view)
        if not self.view.limited:
            return found
        return msgspec.structs.replace(found, results=tuple(self._offered(one) for one in found.results))

    def _offered(self, one: Candidate) -> Candidate:
        standing = self._sharing.standing(self.view, one.unit)
        sight = None if standing is None else self.view.sight(standing)
        hidden = sight is None or "members" in sight.without
        return msgspec.structs.replace(one, person=None) if hidden else one

    @property
    def narrowed(self) -> bool:
        """Whether there may be a unit that is not seen."""
        return self._sharing.narrows(self.view)

    def may_hear_of(self, unit: str, fields: frozenset[str] = NOTHING) -> bool:
        """Whether a unit that is, or was, on the roster may be named, where that tells these fields of it."""
        standing = self._feed.board.units.get(unit)  # type: ignore[call-overload]
        if standing is not None:
            return self._sharing.offered(self.view, standing, fields)
        return not self.view.limited and (self.view.masked or unit not in self._feed.board.masked)

    def has_history(self, unit: str) -> bool:
        """Whether it may be told what the unit was: not of one that an emergency shows, for as long as that lasts."""
        standing = self._sharing.standing(self.view, unit)
        sight = None if standing is None else self.view.sight(standing)
        return sight is not None and sight.shared_by is None

    def has_track(self, unit: str) -> bool:
        """Whether the unit's tracks may be seen; of one that left the roster only by those without limits."""
        standing = self._feed.board.units.get(unit)  # type: ignore[call-overload]
        return not self.view.limited if standing is None else self.view.sees_past(standing, "tracks")

    def may_act_on(self, unit: str) -> bool:
        """Whether tasks and statuses of a unit that is seen are theirs to give."""
        standing = self._sharing.standing(self.view, unit)
        return standing is not None and self.view.sees_past(standing, "tasks")

    def has_task(self, unit: str, agency: str) -> bool:
        """Whether a task of this unit may be seen."""
        standing = self._feed.board.units.get(unit)  # type: ignore[call-overload]
        return self.view.sees_agency(agency) if standing is None else self.view.sees_past(standing, "tasks")

    # --- zones

    def members(self) -> dict[str, list[str]]:
        """The units in each zone."""
        return {
            zone: [each for each in units if self.knows(each)] for zone, units in self._feed.zoning.members().items()
        }

    def coverage(self) -> tuple[ZoneCover, ...]:
        """Each rule over units that are seen, as it stands."""
        return tuple(rule for rule in self._feed.zoning.coverage() if self.view.sees_all_units_of(rule.agencies))

    # --- people

    def emergencies(self) -> list[EmergencyRecord]:
        """All that are open, and the latest that are over; whose, only where that may be known."""
        return [self.emergency(record) for record in self._feed.emergencies()]

    def emergency(self, record: EmergencyRecord) -> EmergencyRecord:
        """One of them."""
        asked = UrgentRecord(record.seq, "emergency", "", record.unit, msgspec.json.encode(record))
        told = self._sharing.told(self.view, asked)
        return record if told is None or told is asked.payload else msgspec.json.decode(told, type=EmergencyRecord)

    def messages(self) -> list[Message]:
        """Statuses 12 to 16 and texts, oldest first."""
        return [seen for each in self._feed.messages() if (seen := self.message(each)) is not None]

    def message(self, message: Message) -> Message | None:
        """One of them; None where it is not to be seen."""
        asked = UrgentRecord(0, "message", "", message.unit, encode.message(message, 0))
        told = self._sharing.told(self.view, asked)
        if told is None or told is asked.payload:
            return None if told is None else message
        return msgspec.json.decode(told, type=Message)

    def handsets(self) -> list[Handset]:
        """Every radio, by ISSI."""
        return [seen for each in self._feed.handsets() if (seen := self._handset(each)) is not None]

    def _handset(self, one: Handset) -> Handset | None:
        if not self._sharing.narrows(self.view):
            return one
        sight = self._sharing.sight(self.view, Names(one.unit, one.person, issi=one.issi), unknown=False)
        if sight is None or "issi" in sight.without:
            return None
        return msgspec.structs.replace(one, person=None) if "members" in sight.without else one

    def may_name(self, names: Names) -> bool:
        """Whether whoever is named may be: none of them is somebody, or something, that is not seen whole."""
        if not self._sharing.narrows(self.view):
            return True
        sight = self._sharing.sight(self.view, names, unknown=False)
        return sight is not None and not sight.without
