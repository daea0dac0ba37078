"""A whole shift from one seed: roster and pseudo-terminals first, traffic when told to go, exact counts at the end."""

import argparse
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from firmware_stubs.filming import Studio
from firmware_stubs.gear import ABANDON_AT, Gear, issue_beacons, issue_cameras, issue_terminals, progress_of
from firmware_stubs.habits import Habits
from firmware_stubs.jsonline import say
from firmware_stubs.mqtt import Broker
from firmware_stubs.play import Play, Script
from firmware_stubs.roster import Headcount, Roster, plan, toml

PROGRESS_S = 0.5
SMASH_AT = 0.7
STEP_S = 0.02


class Cues:
    """Go and stop, from standard input and from signals."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.stop = threading.Event()

    def listen(self, *, to_input: bool) -> None:
        """Heed SIGTERM and SIGINT, and the lines `go` and `stop`; whoever started us going away is a stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        if to_input:
            threading.Thread(target=self._read, name="cues", daemon=True).start()
        else:
            self.go.set()

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                self.go.set()
            elif line.strip() == "stop":
                break
        self.stop.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play one shift."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.people < 1:
        parser.error("--people: at least 1")
    cues = Cues()
    cues.listen(to_input=not given.go)
    roster = plan(Headcount(given.people, given.beacons, given.cameras), given.seed)
    given.roster.parent.mkdir(parents=True, exist_ok=True)
    given.roster.write_text(toml(roster, datetime.now(UTC)))
    given.work.mkdir(parents=True, exist_ok=True)
    gear = _issue(roster, given)
    for terminal in gear.terminals:
        terminal.open()
        terminal.start()
    say({"event": "ready", "roster": str(given.roster), "terminals": [str(t.link) for t in gear.terminals]})
    while not cues.go.wait(0.1) and not cues.stop.is_set():
        pass
    studio = Studio(given.work)
    play = Play(roster, gear, _script(given), studio, given.seed)
    if not cues.stop.is_set():
        _perform(play, gear, cues, given.duration)
    studio.close()
    _drain(play, gear, given.drain)
    gear.close()
    say({"event": "summary", **gear.totals(), "frames_sent": gear.frames(), "violations": gear.violations()})
    return 0


def _issue(roster: Roster, given: argparse.Namespace) -> Gear:
    broker = Broker.parse(given.mqtt, given.credentials, given.certificates)
    terminals = issue_terminals(roster, given.terminals_dir, given.radios, random.Random(given.seed))
    steady = Habits(pace=given.pace_kib * 1024)
    giving_up = Habits(pace=given.pace_kib * 1024, abandon_at=ABANDON_AT)
    habits = [giving_up if number < given.abandon else steady for number in range(given.cameras)]
    doomed = Habits(pace=given.pace_kib * 1024, smash_at=SMASH_AT)
    habits[len(habits) - min(given.smash, len(habits)) :] = [doomed] * min(given.smash, len(habits))
    cameras = issue_cameras(roster, broker, given.vkey, _tell, habits)
    return Gear(terminals, issue_beacons(roster, broker), cameras)


def _tell(happening: Mapping[str, object]) -> None:
    """A camera's happenings; a verified receipt is what everybody else calls sealed."""
    if happening["event"] == "receipt":
        say({**happening, "event": "sealed", "camera": happening["device"]})
    elif happening["event"] != "durable":
        say(happening)


def _perform(play: Play, gear: Gear, cues: Cues, duration: float) -> None:
    for beacon in gear.beacons.values():
        beacon.open()
    for camera in gear.cameras.values():
        camera.start()
    play.begin()
    ends = time.monotonic() + duration if duration else float("inf")
    next_progress = time.monotonic()
    while not cues.stop.wait(STEP_S) and time.monotonic() < ends:
        play.step()
        if time.monotonic() >= next_progress:
            next_progress = time.monotonic() + PROGRESS_S
            _progress(play, gear)


def _drain(play: Play, gear: Gear, patience_s: float) -> None:
    """Start nothing new, and give what is under way a bounded time."""
    say({"event": "draining"})
    ends = time.monotonic() + patience_s
    next_progress = 0.0
    while not gear.drained() and time.monotonic() < ends:
        time.sleep(STEP_S)
        if time.monotonic() >= next_progress:
            next_progress = time.monotonic() + PROGRESS_S
            _progress(play, gear)


def _progress(play: Play, gear: Gear) -> None:
    cameras = [progress_of(camera, play.filming.get(name)) for name, camera in gear.cameras.items()]
    listening = sum(terminal.ready for terminal in gear.terminals)
    say({"event": "progress", **gear.totals(), "terminals_ready": listening, "cameras": cameras})


def _script(given: argparse.Namespace) -> Script:
    return Script(
        radio_s=given.radio_every,
        beacon_s=given.beacon_every,
        emergency_s=given.emergency_every,
        rubbish_s=given.rubbish_every if given.rubbish else 0.0,
        status_offset=given.status_offset,
        recordings=given.recordings_per_camera,
        film_pause_s=given.film_pause,
        video_mb=given.video_mb,
        video_s=given.video_seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.shift", description=__doc__)
    _add_cast(parser)
    _add_script(parser)
    return parser


def _add_cast(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--radios", type=int, default=2, help="terminals; each hears its share of the radios")
    parser.add_argument("--beacons", type=int, default=10)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--mqtt", required=True, help="HOST:PORT")
    parser.add_argument("--terminals-dir", type=Path, required=True, help="where terminal-1, terminal-2, ... appear")
    parser.add_argument("--roster", type=Path, required=True, help="the roster file to write")
    parser.add_argument("--vkey", type=Path, required=True, help="the pinned log key; cameras wait for it")
    parser.add_argument("--work", type=Path, required=True, help="folder for footage")
    parser.add_argument("--credentials", type=Path, help="JSON file, device to password")
    parser.add_argument("--certificates", type=Path, help="folder with ca.crt, DEVICE.crt, DEVICE.key")


def _add_script(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--go", action="store_true", help="begin at once and leave standard input alone")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds of traffic; 0 is until stopped")
    parser.add_argument("--drain", type=float, default=20.0, help="seconds that what is under way may still take")
    parser.add_argument("--recordings-per-camera", type=int, default=1)
    parser.add_argument("--film-pause", type=float, default=2.0, help="seconds between a camera's recordings, about")
    parser.add_argument("--video-mb", type=float, default=5.5, help="MiB, at least")
    parser.add_argument("--video-seconds", type=float, default=8.0)
    parser.add_argument("--pace-kib", type=float, default=0.0, help="a camera's link, KiB a second; 0 is no limit")
    parser.add_argument("--abandon", type=int, default=0, help="so many cameras abandon what they upload, on purpose")
    parser.add_argument(
        "--smash", type=int, default=0, help="so many cameras are smashed at 70 % of their first upload"
    )
    parser.add_argument("--radio-every", type=float, default=5.0)
    parser.add_argument("--beacon-every", type=float, default=1.5)
    parser.add_argument("--emergency-every", type=float, default=90.0, help="0 is never; the first after 15 s at most")
    parser.add_argument("--status-offset", type=lambda text: int(text, 0), default=0x8000)
    parser.add_argument("--rubbish", action="store_true", help="send a small, counted share of rubbish too")
    parser.add_argument("--rubbish-every", type=float, default=3.0)


if __name__ == "__main__":
    raise SystemExit(main())
