"""The published facts of Cursor on Target, as a check: MITRE's Base-Event 2.0 and TAK's detail schemas."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TYPE = re.compile(r"\w+(-\w+)*(;[^;]*)?")
HOW = re.compile(r"\w(-\w+)*")
QOS = re.compile(r"\d-[rfi]-[gdc]")
NCNAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
NMTOKEN = re.compile(r"[\w.:-]+")
UNKNOWN = 9999999.0
HEAD = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<event '
REQUIRED = {"version", "uid", "type", "how", "time", "start", "stale"}
OPTIONAL = {"qos", "opex", "access"}
DETAILS = {
    "contact",
    "__group",
    "track",
    "precisionlocation",
    "status",
    "takv",
    "link",
    "emergency",
    "remarks",
    "__lapel",
}


def check_event(event: bytes) -> ET.Element:
    """AssertionError for what a strict reader would refuse; the event as read."""
    assert event.startswith(HEAD)
    assert event.endswith(b"</event>")
    assert event.count(b"</event>") == 1  # what readers cut the stream at
    read = ET.fromstring(event)
    assert REQUIRED <= set(read.keys()) <= REQUIRED | OPTIONAL
    assert read.get("version") == "2.0"
    assert read.get("uid", "").strip()
    assert TYPE.fullmatch(read.get("type", ""))
    assert HOW.fullmatch(read.get("how", ""))
    assert QOS.fullmatch(read.get("qos", ""))
    assert read.get("opex") in ("o", "e", "s")
    assert [child.tag for child in read] == ["point", "detail"]
    point, detail = read
    _point(point)
    _detail(detail)
    times = [read.get(name, "") for name in ("time", "start", "stale")]
    assert all(TIME.fullmatch(each) for each in times)
    _, start, stale = map(datetime.fromisoformat, times)
    # A track that is dropped ends before it begins, and that alone does; it says no more than who it was.
    dropped = [child.tag for child in detail] == ["contact"]
    assert (stale < start) == dropped
    assert stale - start >= timedelta(seconds=-1)
    return read


def _point(point: ET.Element) -> None:
    assert set(point.keys()) == {"lat", "lon", "hae", "ce", "le"}
    lat, lon, hae, ce, le = (float(point.get(name, "nan")) for name in ("lat", "lon", "hae", "ce", "le"))
    assert -90 <= lat <= 90
    assert -180 <= lon <= 180
    assert hae == le == UNKNOWN
    assert 0 <= ce <= UNKNOWN


def _detail(detail: ET.Element) -> None:
    tags = [child.tag for child in detail]
    assert len(tags) == len(set(tags))
    assert set(tags) <= DETAILS
    for child in detail:
        check = CHECKS.get(child.tag)
        if check is not None:
            check(child)


def _contact(contact: ET.Element) -> None:
    assert contact.get("callsign")


def _track(track: ET.Element) -> None:
    assert 0 <= float(track.get("course", "nan")) < 360
    assert float(track.get("speed", "nan")) >= 0


def _emergency(emergency: ET.Element) -> None:
    assert NCNAME.fullmatch(emergency.text or "")
    assert (emergency.get("type") is not None) != (emergency.get("cancel") == "true")


def _link(link: ET.Element) -> None:
    assert set(link.keys()) == {"uid", "type", "relation"}
    assert link.get("relation") == "p-p"
    assert TYPE.fullmatch(link.get("type", ""))


def _status(status: ET.Element) -> None:
    assert 0 <= int(status.get("battery", "-1")) <= 100


def _takv(takv: ET.Element) -> None:
    assert NMTOKEN.fullmatch(takv.get("version", ""))
    assert NMTOKEN.fullmatch(takv.get("platform", ""))


def _group(group: ET.Element) -> None:
    assert group.get("name")
    assert group.get("role")


CHECKS = {
    "contact": _contact,
    "track": _track,
    "emergency": _emergency,
    "link": _link,
    "status": _status,
    "takv": _takv,
    "__group": _group,
}
