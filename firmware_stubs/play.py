"""What happens on a shift, and when: radios, beacons and cameras of officers on the move, all from one seed."""

import heapq
import queue
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from firmware_stubs import lip
from firmware_stubs.beacon import RUBBISH, Reading
from firmware_stubs.camera import Camera
from firmware_stubs.filming import Assignment, Studio
from firmware_stubs.footage import Footage, rfc3339
from firmware_stubs.gear import LINE_RUBBISH, Gear
from firmware_stubs.handset import Habits, Handset, lip_frame
from firmware_stubs.port import Terminal
from firmware_stubs.roster import Person, Roster, Unit
from firmware_stubs.sds import Downlink, Frame, emergency, simple_text, status, transfer_text
from firmware_stubs.walk import Place, Walker

STEP_S = 0.5
NO_FIX_CHANCE = 0.02
ON_DUTY, ON_PATROL = 1, 2
ROUNDS = ((5, 6, 2), (4, 2), (14,), (5, 6, 7, 2), (13,))
TEXTS = (
    "At the bandstand",
    "Parking complaint dealt with",
    "Back on Bridge Street",
    "Caf\u00e9 owner informed",
    "Leaving St John's Square",
)


@dataclass(frozen=True)
class Script:
    """How often things happen, in seconds; 0 is never."""

    radio_s: float = 5.0
    beacon_s: float = 1.5
    status_s: float = 45.0
    text_s: float = 90.0
    emergency_s: float = 90.0
    rubbish_s: float = 0.0
    status_offset: int = 0x8000
    recordings: int = 1
    film_pause_s: float = 2.0
    video_mb: float = 5.5
    video_s: float = 8.0


class Play:
    """The schedule of one shift. `step` runs what is due; nothing happens between two steps."""

    def __init__(self, roster: Roster, gear: Gear, script: Script, studio: Studio, seed: int) -> None:
        self.filming: dict[str, str] = {}
        self.unfilmed = 0
        self._roster, self._gear, self._script, self._studio = roster, gear, script, studio
        self._seed = seed
        self._chance = random.Random(seed)
        self._walkers = {unit.id: Walker(unit.kind, seed * 1009 + n) for n, unit in enumerate(roster.units)}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._reference = 0
        self._handsets: dict[int, Handset] = {}
        self._news: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def begin(self) -> None:
        """Put everybody's first acts on the schedule."""
        self._after(0.0, self._move)
        for person in self._roster.people if self._gear.terminals else ():
            terminal = self._gear.terminal_of(person)
            habits = Habits(status_base=self._script.status_offset)
            self._handsets[person.issi] = Handset(person.issi, terminal.radio.dialect, habits)
            self._after(0.0, partial(self._carry, person, terminal))
            self._radio_on(person)
        for device in self._roster.devices_of("beacon"):
            self._after(self._chance.uniform(0, self._script.beacon_s), partial(self._beacon, device.id))
        for place, camera in enumerate(self._gear.cameras.values()):
            self._after(0.5 + 0.5 * place, partial(self._film, camera, 1))
        if self._script.emergency_s and self._gear.terminals:
            self._after(min(15.0, self._script.emergency_s), self._emergency)
        if self._script.rubbish_s:
            self._after(self._script.rubbish_s, self._rubbish)
        for terminal in self._gear.terminals:
            terminal.on_downlink = self._downlink

    def step(self) -> None:
        """Run what other threads asked for, then what is due."""
        while not self._news.empty():
            self._news.get_nowait()()
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (time.monotonic() + seconds, self._count, act))

    def _about(self, seconds: float) -> float:
        return self._chance.uniform(0.7, 1.3) * seconds

    def _move(self) -> None:
        for walker in self._walkers.values():
            walker.step(STEP_S)
        self._after(STEP_S, self._move)

    def _where(self, holder: str, noise_m: float) -> Place:
        unit: Unit = self._roster.unit_of(holder)
        return self._walkers[unit.id].place(noise_m)

    def _radio_on(self, person: Person) -> None:
        terminal = self._gear.terminal_of(person)
        if not terminal.ready:
            self._after(0.5, lambda: self._radio_on(person))
            return
        self._duty(person, terminal, (ON_DUTY, ON_PATROL))
        self._after(self._chance.uniform(0, self._script.radio_s), lambda: self._report(person, terminal))
        if self._script.status_s:
            self._after(self._about(self._script.status_s), lambda: self._next_duty(person, terminal))
        if self._script.text_s:
            self._after(self._chance.uniform(2, self._script.text_s), lambda: self._text(person, terminal))

    def _report(self, person: Person, terminal: Terminal) -> None:
        terminal.hear(self._lip(person, terminal, lip.Reason.MAX_INTERVAL, NO_FIX_CHANCE))
        self._after(self._about(self._script.radio_s), lambda: self._report(person, terminal))

    def _lip(self, person: Person, terminal: Terminal, reason: int, no_fix_chance: float = 0.0) -> Frame:
        if self._chance.random() < no_fix_chance:
            return lip_frame(person.issi, lip.no_fix(), terminal.radio.dialect, "lip_no_fix")
        place = self._where(person.id, 4.0)
        report = lip.ShortReport(
            place.latitude,
            place.longitude,
            lip.speed_code(place.speed_mps),
            lip.direction_code(place.heading_deg),
            reason=reason,
        )
        kind = "lip_emergency" if reason == lip.Reason.EMERGENCY else "lip"
        return lip_frame(person.issi, report, terminal.radio.dialect, kind)

    def _duty(self, person: Person, terminal: Terminal, codes: tuple[int, ...]) -> None:
        terminal.hear(status(person.issi, self._script.status_offset + codes[0]))
        if codes[1:]:
            self._after(self._chance.uniform(3, 8), lambda: self._duty(person, terminal, codes[1:]))

    def _next_duty(self, person: Person, terminal: Terminal) -> None:
        self._duty(person, terminal, self._chance.choice(ROUNDS))
        self._after(self._about(self._script.status_s), lambda: self._next_duty(person, terminal))

    def _text(self, person: Person, terminal: Terminal) -> None:
        self._reference = (self._reference + 1) % 256
        words = self._chance.choice(TEXTS)
        plain = self._chance.random() < 0.4
        terminal.hear(simple_text(person.issi, words) if plain else transfer_text(person.issi, words, self._reference))
        if terminal.radio.dialect.noise:
            terminal.garble("notice", f"\r\n{self._chance.choice(terminal.radio.dialect.noise)}\r\n".encode())
        self._after(self._about(self._script.text_s), lambda: self._text(person, terminal))

    def _emergency(self) -> None:
        """The button: an emergency status and a report with reason 2; a beacon's SOS now and then as well."""
        person = self._chance.choice(self._roster.people)
        terminal = self._gear.terminal_of(person)
        terminal.hear(emergency(person.issi))
        terminal.hear(self._lip(person, terminal, lip.Reason.EMERGENCY))
        plain = [name for name, beacon in self._gear.beacons.items() if beacon.form == "plain"]
        if plain and self._chance.random() < 0.5:
            name = self._chance.choice(plain)
            self._gear.beacons[name].sos(self._reading(name))
        self._after(self._about(self._script.emergency_s), self._emergency)

    def _beacon(self, name: str) -> None:
        self._gear.beacons[name].report(self._reading(name))
        self._after(self._about(self._script.beacon_s), lambda: self._beacon(name))

    def _reading(self, name: str) -> Reading:
        holder = next(device.holder for device in self._roster.devices if device.id == name)
        place = self._where(holder, 2.5)
        accuracy = self._chance.randint(3, 12)
        return Reading(datetime.now(UTC), place.latitude, place.longitude, place.speed_mps, place.heading_deg, accuracy)

    def _downlink(self, down: Downlink) -> None:
        self._news.put(partial(self._reply, down))

    def _carry(self, person: Person, terminal: Terminal) -> None:
        """The officer's radio moves along: what it was told to report and to answer is sent when it is due."""
        handset, now = self._handsets[person.issi], time.monotonic()
        handset.move(self._where(person.id, 4.0), now)
        for frame in handset.due(now, datetime.now(UTC)):
            terminal.hear(frame)
        self._after(STEP_S, partial(self._carry, person, terminal))

    def _reply(self, down: Downlink) -> None:
        handset = self._handsets.get(down.called)
        if handset is not None:
            handset.receive(down, time.monotonic())

    def _film(self, camera: Camera, number: int) -> None:
        if camera.smashed:
            return
        started = datetime.now(UTC)
        name = f"{started:%Y%m%dT%H%M%SZ}-{number:04d}"
        holder = next(device.holder for device in self._roster.devices if device.id == camera.device)
        place = self._where(holder, 2.5)
        self.filming[camera.device] = name
        camera.tell(
            "recording_started",
            recording=name,
            n=number,
            trigger="button",
            pre_event_s=0,
            latitude=round(place.latitude, 6),
            longitude=round(place.longitude, 6),
            accuracy_m=8,
        )
        shot = Assignment(
            camera.device, name, started, self._script.video_s, self._script.video_mb, self._seed * 31 + self._count
        )
        self._studio.film(shot, lambda path: self._news.put(lambda: self._filmed(camera, number, shot, path)))

    def _filmed(self, camera: Camera, number: int, shot: Assignment, path: Path | None) -> None:
        """The button is pressed again when the scene has lasted as long as the film."""
        ends = shot.started_at + timedelta(seconds=shot.seconds)
        left = (ends - datetime.now(UTC)).total_seconds()
        if left > 0:
            self._after(left, lambda: self._filmed(camera, number, shot, path))
            return
        self.filming.pop(camera.device, None)
        if camera.smashed:
            return
        camera.tell("recording_stopped", recording=shot.name, n=number, stop_reason="button")
        if path is None:
            self.unfilmed += 1
        else:
            times = (rfc3339(shot.started_at), rfc3339(ends))
            camera.offer(Footage.made(path, shot.device, shot.name, times, path.with_suffix(".json")))
        if number < self._script.recordings:
            pause_s = self._script.film_pause_s * self._chance.uniform(0.5, 1.5)
            self._after(pause_s, lambda: self._film(camera, number + 1))

    def _rubbish(self) -> None:
        kinds = [*(LINE_RUBBISH if self._gear.terminals else ()), *(RUBBISH if self._gear.beacons else ())]
        kind = self._chance.choice(kinds)
        if kind in RUBBISH:
            name = self._chance.choice(sorted(self._gear.beacons))
            self._gear.beacons[name].rubbish(kind, self._reading(name))
        else:
            terminal = self._chance.choice(self._gear.terminals)
            if terminal.ready:
                terminal.garble(kind, self._line_rubbish(kind))
        self._after(self._about(self._script.rubbish_s), self._rubbish)

    def _line_rubbish(self, kind: str) -> bytes:
        issi = self._chance.choice(self._roster.people).issi
        if kind == "serial_garbage":
            return b"\r\n" + bytes(self._chance.choice(b"\x00\x7f\xfe\xff#%&?") for _ in range(20)) + b"\r\n"
        if kind == "serial_truncated":
            return f"\r\n+CTSDSR: 12,{issi},0,2349".encode()
        return f"\r\n+CTSDSR: 12,{issi},0,2349001,0,24\r\n0A00FF\r\n".encode()
