"""A terminal to run by hand or from a test: on a real pseudo-terminal, with officers' radios to hear, told in JSON."""

import argparse
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from firmware_stubs.crew import Crew
from firmware_stubs.cues import Cues
from firmware_stubs.dialects import DIALECTS
from firmware_stubs.faults import KINDS, Faults
from firmware_stubs.handset import Habits, lip_frame
from firmware_stubs.jsonline import say
from firmware_stubs.lip import ShortReport
from firmware_stubs.pei import REBOOT_S, Cell, MobileTermination
from firmware_stubs.port import Terminal
from firmware_stubs.replies import CONSUMED_AFTER_S, RECEIVED_AFTER_S, TASK_ANSWERS
from firmware_stubs.sds import emergency, simple_text, status

STEP_S = 0.02


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one terminal until its time is over or somebody stops it."""
    given = _parser().parse_args(arguments)
    issis = [given.first_issi + n for n in range(given.issis)]
    radio = MobileTermination(
        DIALECTS[given.dialect], Cell(issi=given.issi), frozenset(issis), reboot_s=given.reboot_seconds
    )
    pieces = given.seed if given.fragment or given.faults else None
    terminal = Terminal(given.link, radio, pieces, speed=given.speed)
    habits = Habits(
        given.answers, given.status_base, given.received_after, given.consumed_after, given.outcome, given.wants_acks
    )
    crew = Crew(terminal, issis, habits, seed=given.seed, hurry=given.hurry)
    if given.trace:
        terminal.on_line = lambda way, octets: say(
            {"event": "line", "at": time.monotonic(), way: octets.decode("latin-1")}
        )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    terminal.open()
    terminal.start()
    say({"event": "ready", "terminal": str(given.link), "issis": issis, "pid": os.getpid()})
    if given.faults:
        faults = Faults(terminal, given.seed, crew.step, stop)
        faults.run(given.faults, given.kinds)
        say({"event": "faults_over", "suffered": faults.suffered, "completed": faults.completed})
    else:
        _serve(given, terminal, crew, stop)
    terminal.close()
    say({"event": "summary", "sent": terminal.sent, "unheard": terminal.unheard, "violations": radio.violations})
    return 0


def _serve(given: argparse.Namespace, terminal: Terminal, crew: Crew, stop: threading.Event) -> None:
    cues = Cues(terminal, crew, stop)
    if given.cues:
        cues.listen()
    began = time.monotonic()
    turn, next_round = 0, began + given.every
    while not stop.wait(STEP_S) and not (given.duration and time.monotonic() >= began + given.duration):
        cues.step()
        crew.step()
        if time.monotonic() < next_round:
            continue
        next_round += given.every
        if terminal.ready and not given.quiet:
            _round(terminal, sorted(crew.handsets), turn)
            turn += 1
        say({"event": "progress", "sent": terminal.sent, "ready": terminal.ready})


def _round(terminal: Terminal, issis: Sequence[int], turn: int) -> None:
    for place, issi in enumerate(issis):
        report = ShortReport(52.57 + 0.0001 * turn, -0.24 + 0.001 * place, speed_code=5, direction_code=0)
        terminal.hear(lip_frame(issi, report, terminal.radio.dialect))
        if turn % 7 == 1:
            terminal.hear(status(issi, 0x8000 + 2))
        if turn % 11 == 3:
            terminal.hear(simple_text(issi, "At the bandstand"))
    if turn == 20:
        terminal.hear(emergency(issis[0]))


def _answers(text: str) -> tuple[tuple[float, int], ...]:
    """CODE@SECONDS, with commas between; nothing is an officer who does not answer."""
    pairs = (part.split("@") for part in text.split(",") if part)
    return tuple((float(seconds), int(code)) for code, seconds in pairs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.terminal", description=__doc__)
    parser.add_argument("--link", type=Path, required=True, help="path of the link to the pseudo-terminal")
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="motorola")
    parser.add_argument("--issi", type=int, default=Cell.issi, help="the terminal's own identity")
    parser.add_argument("--speed", type=int, help="answer only where the line is set to so many baud")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds; 0 is until SIGTERM")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fragment", action="store_true", help="write in arbitrary pieces")
    parser.add_argument("--faults", type=int, default=0, help="so many random faults, then end")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of these kinds only")
    parser.add_argument("--reboot-seconds", type=float, default=REBOOT_S, help="how long it hears nothing then")
    parser.add_argument("--cues", action="store_true", help="do what lines on standard input say")
    parser.add_argument("--trace", action="store_true", help="print what goes over the line")
    _add_officers(parser)
    return parser


def _add_officers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--issis", type=int, default=3, help="how many radios it hears")
    parser.add_argument("--first-issi", type=int, default=2341001)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between rounds of reports")
    parser.add_argument("--quiet", action="store_true", help="no rounds: only what triggers, tasks and cues cause")
    parser.add_argument("--hurry", type=float, default=1.0, help="how much faster the officers' time runs")
    parser.add_argument("--answers", type=_answers, default=TASK_ANSWERS, help="to a task: CODE@SECONDS,…")
    parser.add_argument("--status-base", type=lambda text: int(text, 0), default=0x8000)
    parser.add_argument("--received-after", type=float, default=RECEIVED_AFTER_S, help="seconds until the report")
    parser.add_argument("--consumed-after", type=float, default=CONSUMED_AFTER_S, help="seconds until it is read")
    parser.add_argument("--outcome", type=int, default=0, help="delivery status; from 32 on nothing is shown")
    parser.add_argument("--wants-acks", action="store_true", help="reports of delivery and place ask for their receipt")


if __name__ == "__main__":
    raise SystemExit(main())
