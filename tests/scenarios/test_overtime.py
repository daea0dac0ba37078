"""A planned shift end in the middle of an incident, through the whole gateway: a real process and a radio's line."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.feed.schema import check_feature
from tests.scenarios.follower import Follower
from tests.scenarios.gateway_process import GatewayProcess, until
from tests.scenarios.radio_line import RadioLine, lines, position, status

OFFICER, UNIT = 2341014, "PCC.CSO-014"
AT_SCENE, AVAILABLE, OFF = 0x8006, 0x8002, 0x800B
ENDS_IN_S = 14.0
MAY_CHANGE = {"overtime", "seq", "fresh", "fix_time", "received_at", "stale_at", "sources"}
"""What a mark and the passing of time change in a Feature; everything else is of the incident."""
ROSTER = """
v = 1
person = [{{ id = "P-0014", name = "Officer 14", agency = "PCC", role = "CSO", issi = 2341014 }}]
unit = [{{ id = "PCC.CSO-014", callsign = "CSO14", agency = "PCC", members = ["P-0014"] }}]
device = [{{ id = "trm-14", kind = "terminal", agency = "PCC", issi = 2341014 }}]
[[shift]]
holder = "P-0014"
from = {begin}
to = {end}
[[booking]]
device = "trm-14"
holder = "P-0014"
from = {begin}
to = {end}
"""


class Incident:
    """The gateway, one radio, and a controller's token."""

    def __init__(self, folder: Path, radio: RadioLine) -> None:
        """Written; not yet started. The shift, and the booking as planned, end in a moment."""
        self.radio, now = radio, datetime.now(UTC)
        self.ends = now + timedelta(seconds=ENDS_IN_S)
        (folder / "roster.toml").write_text(
            ROSTER.format(begin=(now - timedelta(hours=8)).isoformat(), end=self.ends.isoformat())
        )
        self.gateway = GatewayProcess(
            folder,
            f'[gateway]\ndata = "{folder / "data"}"\n[roster]\nfile = "roster.toml"\n[evidence]\nenabled = false\n'
            f'[api]\nport = 0\n[[driver]]\nkind = "tetra"\nname = "terminal-1"\nport = "{radio.port}"\n'
            f"status_map = {{ 0x8002 = 2, 0x8006 = 6, 0x800B = 11 }}\n",
        )
        self.token = ""

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST where there is a body; None where there is no such thing."""
        content = None if body is None else json.dumps(body).encode()
        address = self.gateway.address.rstrip("/") + path
        request = urllib.request.Request(address, content, {"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            if refused.code != 404:
                raise
            return None

    def unit(self) -> dict[str, Any] | None:
        """Its Feature, as anybody may check it; None off the feed."""
        feature = self.ask(f"/v1/units/{UNIT}")
        if feature is not None:
            check_feature(feature)
        return feature

    def is_so(self, **wanted: Any) -> bool:
        """Whether the unit's properties have these."""
        feature = self.unit()
        return feature is not None and all(feature["properties"][key] == value for key, value in wanted.items())


def test_a_planned_end_in_an_incident(tmp_path: Path, shared: Path) -> None:
    """In an emergency: past its planned end the unit is as it was, but marked; over kill -9 too; until it ends."""
    with lines(1) as (radio,):
        scene = Incident(tmp_path, radio)
        try:
            scene.gateway.start().ready()
            scene.token = scene.gateway.token()
            with Follower(scene.gateway.address, scene.token) as follower:
                _through_the_end(scene, follower)
            _over_a_kill(scene)
            _until_it_is_over(scene)
        finally:
            scene.gateway.kill()


def _through_the_end(scene: Incident, follower: Follower) -> None:
    scene.radio.say(status(OFFICER, AT_SCENE))
    scene.radio.say(status(OFFICER))
    scene.radio.say(position(OFFICER))
    follower.first("emergency", unit=UNIT)
    until(lambda: scene.is_so(fresh="live"), 10, "a position")
    before = scene.unit()
    assert before is not None
    assert datetime.now(UTC) < scene.ends, "this machine is too slow for the plan"
    assert before["properties"]["overtime"] is False
    _, told = follower.first("duty", patience_s=ENDS_IN_S + 10, overtime=True)
    assert datetime.now(UTC) >= scene.ends
    after = scene.unit()
    assert after is not None
    was, now = before["properties"], after["properties"]
    assert {key for key in now if was.get(key) != now[key]} <= MAY_CHANGE
    assert (now["overtime"], now["duty"]["state"], now["emergency"]["state"]) == (True, "at_scene", "active")
    assert after["geometry"] == before["geometry"]
    assert told["state"] == "at_scene"
    # The booking was planned to end as well: the radio's next words are still this officer's.
    scene.radio.say(position(OFFICER, 300))
    until(lambda: (scene.unit() or before)["geometry"] != before["geometry"], 10, "it moves on")
    assert follower.events("removed") == []


def _over_a_kill(scene: Incident) -> None:
    scene.gateway.kill()
    scene.gateway.start().ready()
    until(lambda: scene.is_so(overtime=True), 10, "marked again")
    (raised,) = [one for one in scene.ask("/v1/emergencies")["emergencies"] if one["state"] != "cleared"]
    feature = scene.unit()
    assert feature is not None
    assert feature["properties"]["emergency"]["id"] == raised["id"]


def _until_it_is_over(scene: Incident) -> None:
    """Booked off by status 11: the emergency keeps it; cleared, it goes; a status brings it back, with no plan."""
    (raised,) = [one for one in scene.ask("/v1/emergencies")["emergencies"] if one["state"] != "cleared"]
    time.sleep(1.1)  # a status has the time of its arrival, to the second on disk
    scene.radio.say(status(OFFICER, OFF))
    until(lambda: _off(scene), 10, "off duty, and shown")
    assert scene.ask(f"/v1/emergencies/{raised['id']}/clear", {"by": "Sgt 1", "outcome": "assisted"})
    until(lambda: scene.unit() is None, 10, "gone from the feed")
    scene.radio.say(position(OFFICER, 500))
    time.sleep(0.5)
    assert scene.unit() is None
    scene.radio.say(status(OFFICER, AVAILABLE))
    until(lambda: scene.is_so(overtime=False, fresh="never"), 10, "back, where nobody knows")


def _off(scene: Incident) -> bool:
    """Whether it is shown, with its emergency, although it is off duty."""
    properties = (scene.unit() or {"properties": {}})["properties"]
    return bool(properties.get("emergency")) and properties["duty"]["state"] == "off_duty"
