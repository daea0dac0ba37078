"""A unit masked in the middle of a shift, over a real broker, through a kill of the gateway."""

from __future__ import annotations

from tests.scenarios.gateway_process import until
from tests.scenarios.test_feed_out import UNIT, filled, room

__all__ = ["room"]
ONE, TWO = "PCC.CSO-014", "PCC.CSO-015"


def test_its_topics_are_emptied_and_stay_empty(room):
    """At once; over a kill -9 and a new start; until it is given back. Its emergency lies there, without a name."""
    desk = room.desk()
    until(lambda: desk.topics() == filled(ONE, TWO), 10, "every unit lies retained")
    raised = room.ask("/v1/emergencies", {"unit": ONE})
    place = f"lapel/v1/feed/emergency/{raised['id']}"
    until(lambda: (desk.last(place) or {}).get("unit") == ONE, 5, "the emergency has a name")
    said = {"masked": True, "by": "Inspector 3", "reason": "surveillance"}
    room.ask(f"/v1/units/{ONE}/mask", said, "PUT")
    until(lambda: desk.topics() == filled(TWO) | {place}, 5, "the unit's topics are empty")
    until(lambda: (desk.last(place) or {}).get("holder") == "withheld", 5, "the emergency has none")
    room.gateway.kill()
    room.gateway.start().ready()
    late = room.desk()
    room.duty(TWO, 5)
    until(lambda: (late.last(f"{UNIT}/{TWO}/duty") or {}).get("code") == 5, 10, "it goes on")
    assert late.topics() == filled(TWO) | {place}
    assert not any(ONE.encode() in payload for _, payload in list(late.peer.heard))
    room.ask(f"/v1/units/{ONE}/mask", {**said, "masked": False, "reason": "over"}, "PUT")
    until(lambda: late.topics() == filled(ONE, TWO) | {place}, 5, "it is back")
