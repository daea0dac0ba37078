"""The devices of one shift, and the counts that a demonstration settles its account with."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firmware_stubs.beacon import RUBBISH, Beacon
from firmware_stubs.camera import Camera, Report
from firmware_stubs.dialects import DIALECTS
from firmware_stubs.habits import Habits
from firmware_stubs.mqtt import Broker
from firmware_stubs.pei import Cell, MobileTermination
from firmware_stubs.port import Terminal
from firmware_stubs.roster import Person, Roster
from firmware_stubs.upload import Phase

CONTROL_ISSI = 2349001
ABANDON_AT = 2 * 1024 * 1024
LINE_RUBBISH = ("serial_garbage", "serial_truncated", "lip_truncated")


@dataclass
class Gear:
    """Every device of a shift, by the path or name that the roster knows it by."""

    terminals: list[Terminal] = field(default_factory=list)
    beacons: dict[str, Beacon] = field(default_factory=dict)
    cameras: dict[str, Camera] = field(default_factory=dict)

    def terminal_of(self, person: Person) -> Terminal:
        """The terminal that hears a person's radio."""
        return next(terminal for terminal in self.terminals if person.issi in terminal.radio.heard)

    def drained(self) -> bool:
        """Whether nothing that was begun is still under way."""
        beacons_done = all(beacon.unacknowledged == 0 for beacon in self.beacons.values())
        cameras_done = all(camera.idle() for camera in self.cameras.values())
        return beacons_done and cameras_done and all(terminal.drained() for terminal in self.terminals)

    def close(self) -> None:
        """Close every device."""
        for terminal in self.terminals:
            terminal.close()
        for beacon in self.beacons.values():
            beacon.close()
        for camera in self.cameras.values():
            camera.close()

    def totals(self) -> dict[str, object]:
        """Exact counts: what was sent, by source and kind, and what the devices still hold."""
        air = sum((terminal.sent for terminal in self.terminals), Counter[str]())
        published = sum((beacon.published for beacon in self.beacons.values()), Counter[str]())
        rubbish = {kind: (air + published)[kind] for kind in (*LINE_RUBBISH, *RUBBISH) if (air + published)[kind]}
        return {
            "positions_sent": {
                "tetra": air["lip"] + air["lip_emergency"],
                "beacon": published["position"] + published["sos"],
            },
            "positions_unacknowledged": sum(beacon.unacknowledged for beacon in self.beacons.values()),
            "reports_without_fix_sent": air["lip_no_fix"],
            "statuses_sent": air["status"],
            "texts_sent": air["text"],
            "delivery_reports_sent": air["delivery_report"],
            "emergencies_sent": air["emergency"],
            "sos_sent": published["sos"],
            "rubbish_sent": rubbish,
            **self._recordings(),
        }

    def _recordings(self) -> dict[str, object]:
        phases = [upload.phase for camera in self.cameras.values() for upload in camera.uploads]
        waiting = sum(camera.waiting() for camera in self.cameras.values())
        receipted = phases.count(Phase.RECEIPTED)
        abandoned = phases.count(Phase.ABANDONED) + phases.count(Phase.SMASHED)
        sent = len(phases) + waiting
        return {
            "recordings_sent": sent,
            "recordings_receipted": receipted,
            "recordings_held": sent - receipted - abandoned,
            "recordings_abandoned": abandoned,
            "recordings_smashed": self._smashed(),
            "camera_events_sent": sum((camera.told for camera in self.cameras.values()), Counter[str]()),
        }

    def _smashed(self) -> list[dict[str, object]]:
        """Recordings whose camera was smashed while it sent them."""
        return [
            {
                "device": camera.device,
                "recording": upload.recording.name,
                "size": upload.recording.size,
                "durable": upload.durable.octets,
            }
            for camera in self.cameras.values()
            for upload in camera.uploads
            if upload.phase is Phase.SMASHED
        ]

    def frames(self) -> dict[str, object]:
        """What each terminal put on its line, by kind, and what arrived while nobody listened."""
        return {terminal.link.name: {"sent": terminal.sent, "unheard": terminal.unheard} for terminal in self.terminals}

    def violations(self) -> list[str]:
        """Every breach that a device saw the gateway commit."""
        radios = [f"{t.link.name}:{breach}" for t in self.terminals for breach in t.radio.violations]
        return radios + [breach for camera in self.cameras.values() for breach in camera.violations]


def issue_terminals(roster: Roster, folder: Path, count: int, chance: random.Random) -> list[Terminal]:
    """As many terminals as asked for, each hearing its share of the radios; makes and habits are mixed."""
    dialects = list(DIALECTS.values())
    terminals = []
    for number in range(count):
        heard = frozenset(person.issi for person in roster.people[number::count])
        cell = Cell(issi=CONTROL_ISSI + number, signal=chance.randint(14, 30))
        radio = MobileTermination(dialects[number % len(dialects)], cell, heard)
        terminals.append(Terminal(folder / f"terminal-{number + 1}", radio, chance.randrange(2**31)))
    return terminals


def issue_beacons(roster: Roster, broker: Broker) -> dict[str, Beacon]:
    """Beacons in turn of both forms."""
    found = roster.devices_of("beacon")
    forms = ("plain", "owntracks")
    return {device.id: Beacon(broker, device.id, forms[place % 2]) for place, device in enumerate(found)}


def issue_cameras(
    roster: Roster, broker: Broker, vkey: Path, report: Report, habits: Sequence[Habits]
) -> dict[str, Camera]:
    """One camera for each in the roster, with the habits given in the same order."""
    found = roster.devices_of("camera")
    return {
        device.id: Camera(broker, device.id, vkey, report, habit) for device, habit in zip(found, habits, strict=True)
    }


def progress_of(camera: Camera, filming: str | None) -> Mapping[str, object]:
    """One camera's line in a progress report."""
    if filming is not None or not camera.uploads:
        # Before the first upload, footage waits for a connection and for the log's key.
        state = "recording" if filming is not None else ("waiting" if camera.waiting() else "idle")
        return {"device": camera.device, "recording": filming, "size": None, "durable": 0, "state": state}
    upload = camera.uploads[-1]
    return {
        "device": camera.device,
        "recording": upload.recording.name,
        "size": upload.recording.size,
        "durable": upload.recording.size if upload.phase is Phase.RECEIPTED else upload.durable.octets,
        "state": upload.phase,
    }
