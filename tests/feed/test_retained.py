"""What lies retained: the newest of each topic, every urgent record, and nothing that no longer belongs."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed import sse
from gateway.feed.retained import Retained, emergency_topic, ours, unit_topic

DUTY = {"code": 2, "state": "available", "deployable": True, "since": "2026-11-21T22:58:00Z", "incident": None}
P, D = (unit_topic("PCC", "PCC.CSO-1", leaf) for leaf in ("position", "duty"))


def feature(seq=5, unit="PCC.CSO-1", agency="PCC", code=2, overtime=False) -> dict:
    """A unit's feature, as far as it counts here."""
    duty = {**DUTY, "code": code, "source": "sds_status"}
    return {
        "type": "Feature",
        "id": unit,
        "properties": {"seq": seq, "agency": agency, "duty": duty, "overtime": overtime},
    }


def emergency(seq=9, number="EM-1", state="active") -> dict:
    """An emergency's record."""
    return {"v": 1, "seq": seq, "id": number, "state": state, "unit": None}


def duty(seq=7, unit="PCC.CSO-1", code=3) -> dict:
    """A duty change."""
    return {"v": 1, "seq": seq, "unit": unit, **DUTY, "code": code, "source": "api", "overtime": False}


def take(kept: Retained, event: str, record: dict, epoch="E1") -> None:
    """One record of the stream."""
    for _ in kept.take(sse.Block(f"{epoch}-{record.get('seq', 1)}", event, json.dumps(record).encode())):
        pass


def sent(kept: Retained) -> list[tuple[str, dict | None, bool]]:
    """Everything that waits, in the order in which it goes."""
    out = []
    while (message := kept.next()) is not None:
        out.append((message.topic, json.loads(message.payload) if message.payload else None, message.retain))
    return out


def _seq(content: dict) -> int:
    return content.get("properties", content)["seq"]


def lying(kept: Retained, broker: dict) -> dict:
    """What a broker holds after everything that waits has been sent."""
    for topic, content, retain in sent(kept):
        if retain and content is None:
            broker.pop(topic, None)
        elif retain:
            broker[topic] = content
    return broker


def test_a_unit_has_its_feature_and_its_duty_and_each_names_the_instance():
    """The feature as the feed has it; the duty as the samples have it; both with instance and epoch."""
    kept = Retained("pbo-1")
    take(kept, "position", feature())
    broker = lying(kept, {})
    named = {"instance": "pbo-1", "epoch": "E1"}
    assert broker[P] == {**feature(), **named}
    assert broker[D] == {"v": 1, "seq": 5, **DUTY, "source": "sds_status", "overtime": False, **named}


def test_positions_of_a_unit_are_merged_while_they_wait_and_a_duty_that_stands_is_not_said_again():
    """Only the newest feature; the duty once; the merged one counted."""
    kept = Retained("i")
    for seq in (5, 6, 7):
        take(kept, "position", feature(seq))
    assert [(topic, _seq(content)) for topic, content, _ in sent(kept)] == [(D, 5), (P, 7)]
    assert kept.merged == 2
    take(kept, "position", feature(8))
    assert [topic for topic, _, _ in sent(kept)] == [P]


def test_every_duty_change_goes_ahead_of_what_waits_and_is_not_undone_by_it():
    """Two changes are two messages; an older duty that waits with the state is dropped."""
    kept = Retained("i")
    take(kept, "position", feature())
    take(kept, "duty", duty(7, code=3))
    take(kept, "duty", duty(8, code=5))
    take(kept, "position", feature(9, code=5) | {"properties": feature(9)["properties"] | {"duty": {
        **DUTY, "code": 5, "source": "api"}}})  # fmt: skip
    assert [(topic, content.get("code")) for topic, content, _ in sent(kept)] == [(D, 3), (D, 5), (P, None)]


def test_overtime_is_said_in_the_duty_too():
    """A mark that only the feature brings changes the duty's topic."""
    kept = Retained("i")
    take(kept, "position", feature())
    sent(kept)
    take(kept, "position", feature(6, overtime=True))
    assert lying(kept, {})[D]["overtime"] is True


def test_removed_clears_both_topics_and_nothing_that_waited_comes_behind():
    """Off duty, masked, gone from the roster: empty, and stays so; a status of whoever is off duty says nothing."""
    kept = Retained("i")
    take(kept, "position", feature())
    broker = lying(kept, {})
    take(kept, "position", feature(6))
    take(kept, "duty", duty(7, code=11))
    take(kept, "removed", {"seq": 8, "unit": "PCC.CSO-1", "reason": "off_duty"})
    assert lying(kept, broker) == {}
    take(kept, "duty", duty(9, code=10))
    assert sent(kept) == []


def test_an_agency_that_changes_leaves_nothing_under_the_old_one():
    """Cleared there, filled here."""
    kept = Retained("i")
    take(kept, "position", feature())
    broker = lying(kept, {})
    take(kept, "position", feature(6, agency="FRS"))
    assert set(lying(kept, broker)) == {unit_topic("FRS", "PCC.CSO-1", leaf) for leaf in ("position", "duty")}


def test_an_emergency_lies_until_it_is_cleared_and_each_word_goes_out():
    """Raised, acknowledged and cleared are three messages; who listens hears the last, who comes later nothing."""
    kept = Retained("i")
    take(kept, "position", feature())
    for seq, state in enumerate(("active", "acknowledged", "cleared"), 9):
        take(kept, "emergency", emergency(seq, state=state))
    out = sent(kept)
    states = [(content and content["state"], retain) for _, content, retain in out[:4]]
    assert states == [("active", True), ("acknowledged", True), ("cleared", False), (None, True)]
    assert {topic for topic, _, _ in out[:4]} == {emergency_topic("EM-1")}
    assert out[0][1]["instance"] == "i"


def test_a_snapshot_says_everything_anew_and_clears_what_is_not_in_it():
    """Units and emergencies that ended while nobody followed."""
    kept = Retained("i")
    take(kept, "position", feature())
    take(kept, "position", feature(unit="PCC.CSO-2"))
    for number in ("EM-1", "EM-2"):
        take(kept, "emergency", emergency(number=number))
    broker = lying(kept, {})
    whole = {"seq": 20, "features": [feature(unit="PCC.CSO-2")], "emergencies": [emergency(number="EM-2")]}
    take(kept, "snapshot", whole)
    left = {unit_topic("PCC", "PCC.CSO-2", leaf) for leaf in ("position", "duty")} | {emergency_topic("EM-2")}
    assert set(lying(kept, broker)) == left


def test_a_long_snapshot_is_taken_in_parts():
    """Others have their turn between them."""
    kept = Retained("i")
    whole = {"features": [feature(unit=f"PCC.CSO-{n}") for n in range(1700)], "emergencies": []}
    assert len(list(kept.take(sse.Block("E-1", "snapshot", json.dumps(whole).encode())))) == 3
    assert kept.units == 1700


def test_what_was_not_confirmed_goes_again_first_and_in_order():
    """Urgent in order; a clear unless something belongs there now; state comes as a whole anyway."""
    kept = Retained("i")
    take(kept, "position", feature())
    take(kept, "emergency", emergency(9))
    take(kept, "emergency", emergency(10, state="acknowledged"))
    flight = [kept.next() for _ in range(4)]
    take(kept, "removed", {"seq": 11, "unit": "PCC.CSO-1", "reason": "masked"})
    flight += [kept.next() for _ in range(2)]
    take(kept, "emergency", emergency(12, "EM-2"))
    kept.unsent(flight)
    assert [content and content["seq"] for _, content, _ in sent(kept)] == [9, 10, 12, None, None]
    kept.unsent([flight[4]])
    take(kept, "position", feature(13))
    kept.unsent([flight[5]])
    assert set(lying(kept, {})) == {P, D}


def test_stale_topics_of_ours_are_cleared_and_no_others():
    """Of this instance, of nobody, unreadable: cleared. Another instance's, another's topic, what belongs: left."""
    kept = Retained("pbo-1")
    take(kept, "position", feature())
    sent(kept)
    mine, theirs = b'{"instance":"pbo-1"}', b'{"instance":"pbo-2"}'
    found = {
        P: mine,
        unit_topic("PCC", "PCC.OLD", "duty"): mine,
        unit_topic("PCC", "PCC.OLD", "position"): b"\xff",
        unit_topic("OLD", "PCC.CSO-1", "position"): b"{}",
        emergency_topic("EM-0"): mine,
        unit_topic("PCC", "PCC.THEIRS", "duty"): theirs,
        "lapel/v1/feed/PCC/other": mine,
        "lapel/v1/gateway/status": mine,
    }
    assert kept.stale(found) == 4
    assert {topic for topic, _, _ in sent(kept)} == set(list(found)[1:5])


def test_an_agencys_topics_keep_the_emergencies_of_whose_heir_we_are():
    """As everybody's do: one that was raised there alone is known to nobody else."""
    root, theirs = "lapel/v1/agency/PCC/feed", b'{"instance":"pbo-2"}'
    kept = Retained("pbo-1", root)
    kept.heir_of = "pbo-2"
    unit = unit_topic("CAMBS", "CAMBS.OLD", "position", root)
    assert kept.stale({unit: theirs, emergency_topic("EM-1", root): theirs}) == 1
    assert [topic for topic, _, _ in sent(kept)] == [unit]


def test_names_that_no_topic_can_bear_and_records_that_nobody_can_read_are_counted():
    """They cost themselves alone."""
    kept = Retained("i")
    for bad in ("PCC/+", "a#", ""):
        take(kept, "position", feature(agency=bad))
        take(kept, "position", feature(unit=bad))
    for event in ("position", "duty", "removed", "emergency", "snapshot"):
        for _ in kept.take(sse.Block("E-1", event, b'{"no":')):
            pass
    take(kept, "message", {"seq": 1})
    assert kept.unreadable == 11
    assert sent(kept) == []


def test_topics_of_ours_are_told_from_others():
    """Shape and root."""
    assert ours(P)
    assert ours(emergency_topic("E"))
    assert not any(map(ours, ("lapel/v1/feed/PCC/unit/X/else", "owntracks/a", "lapel/v1/feed/emergency/a/b", "")))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["position", "duty", "removed", "send", "lose", "snapshot", "raise", "clear"]),
        st.sampled_from(["PCC.A", "PCC.B"]),
        st.sampled_from(["PCC", "FRS"]),
        st.integers(1, 8),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_whatever_happens_the_broker_ends_with_what_is_so(steps):
    """Any order of records, sends and lost connections; then everything sent: exactly what the feed says."""
    kept, broker, units, open_now = Retained("i"), {}, {}, {}
    for seq, (what, unit, agency, code) in enumerate(steps, 1):
        made = feature(seq, unit, agency, code)
        if what == "position":
            units[unit] = made
            take(kept, "position", made)
        elif what == "duty" and unit in units:
            of = units[unit]["properties"]
            units[unit] = feature(seq, unit, of["agency"], code)
            take(kept, "duty", {**duty(seq, unit, code), "source": "sds_status"})
            take(kept, "position", units[unit])
        elif what == "removed":
            units.pop(unit, None)
            take(kept, "removed", {"seq": seq, "unit": unit, "reason": "mask"})
        elif what in ("raise", "clear"):
            record = emergency(seq, unit, "active" if what == "raise" else "cleared")
            open_now.pop(unit, None)
            open_now.update({unit: record} if what == "raise" else {})
            take(kept, "emergency", record)
        elif what == "snapshot":
            take(kept, "snapshot", {"features": list(units.values()), "emergencies": list(open_now.values())})
        elif what == "lose":
            flight = [one for _ in range(3) if (one := kept.next()) is not None]
            kept.unsent(flight)
            kept.again()
            take(kept, "snapshot", {"features": list(units.values()), "emergencies": list(open_now.values())})
        elif what == "send" and (message := kept.next()) is not None and message.retain:
            broker[message.topic] = json.loads(message.payload) if message.payload else None
            broker = {topic: content for topic, content in broker.items() if content is not None}
    broker = lying(kept, broker)
    wanted = {unit_topic(one["properties"]["agency"], name, leaf) for name, one in units.items() for leaf in
              ("position", "duty")}  # fmt: skip
    assert set(broker) == wanted | {emergency_topic(number) for number in open_now}
    for name, one in units.items():
        agency = one["properties"]["agency"]
        assert broker[unit_topic(agency, name, "position")]["properties"]["seq"] == one["properties"]["seq"]
        assert broker[unit_topic(agency, name, "duty")]["code"] == one["properties"]["duty"]["code"]
    assert all(broker[emergency_topic(name)]["seq"] == one["seq"] for name, one in open_now.items())


def test_payloads_are_those_of_the_samples(shared):
    """Duty and emergency as in feed.jsonl, the feature as in unit.geojson; each with instance and epoch behind."""
    named = {"instance": "pbo-1", "epoch": "01JDP7"}
    lines = [json.loads(line) for line in (shared / "examples/wire/feed.jsonl").read_text().splitlines()]
    unit = json.loads((shared / "examples/feed/unit.geojson").read_text())
    unit = unit["features"][0] if unit["type"] == "FeatureCollection" else unit
    wanted = {line["topic"]: {**line["payload"], **named} for line in lines[:3]}
    said = wanted["lapel/v1/feed/PCC/unit/PCC.CSO-014/duty"]
    words = ("code", "state", "deployable", "since", "incident", "source")
    told = {**unit, "id": "PCC.CSO-014"}
    told["properties"] = {**unit["properties"], "seq": said["seq"], "agency": "PCC", "overtime": said["overtime"]}
    told["properties"]["duty"] = {word: said[word] for word in words}
    kept = Retained("pbo-1")
    take(kept, "position", told, "01JDP7")
    for line in lines[1:3]:
        take(kept, "emergency", line["payload"], "01JDP7")
    broker = lying(kept, {})
    position = broker.pop("lapel/v1/feed/PCC/unit/PCC.CSO-014/position")
    assert position == {**told, **named}
    assert broker == wanted
    assert list(broker["lapel/v1/feed/PCC/unit/PCC.CSO-014/duty"]) == list(said)
