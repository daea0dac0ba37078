"""The camera's side of upload protocol version 1: responses in, commands out, time as an argument."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from firmware_stubs.habits import LOOK_AHEAD, Habits
from firmware_stubs.phrases import command_of, offer_payload, pairs, parse_answer, rest_s
from firmware_stubs.proof import ProofError, VerifierKey
from firmware_stubs.ranges import Ranges
from firmware_stubs.receipt import Receipt, Recording, verify_receipt

PATIENCE_CAP_S = 10.0
OK, SEND_MISSING, BAD, MALFORMED, NOT_NOW = 0x00, 0x10, 0x80, 0x83, 0x97


class Phase(StrEnum):
    """How far an upload is."""

    OFFLINE = "offline"
    OFFERING = "offering"
    SENDING = "sending"
    CLOSING = "closing"
    RESTING = "resting"
    RECEIPTED = "receipted"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    SMASHED = "smashed"


@dataclass(frozen=True)
class Command:
    """One publish under the recording's topic; `span` names the file's bytes where they are the payload."""

    leaf: str
    payload: bytes = b""
    span: tuple[int, int] | None = None


@dataclass
class Memory:
    """What a camera keeps of an upload across restarts: every range ever called durable, and the receipt."""

    ever: Ranges = field(default_factory=Ranges)
    exhibit: str | None = None
    receipt: Mapping[str, object] | None = None
    shown: Mapping[str, object] | None = None


class Upload:
    """One recording on its way; it trusts nothing but the response topic."""

    def __init__(self, recording: Recording, memory: Memory, key: VerifierKey, habits: Habits | None = None) -> None:
        self.recording, self.memory = recording, memory
        habits = self._habits = habits or Habits()
        self.phase = Phase.OFFLINE
        self.durable = Ranges()
        self.receipt: Receipt | None = None
        self.manifest = b""
        self.violations: list[str] = []
        self.troubles: Counter[str] = Counter()
        self.happenings: list[dict[str, object]] = []
        self.key = self.pinned = key
        self._whole = Ranges.of([(0, recording.size)])
        self._flying = Ranges()
        self._ends: dict[int, int] = {}
        self._window = 0
        self._patience_s = self._patience_now_s = habits.patience_s
        self._chance = random.Random(recording.name)
        self._queries: list[Command] = []
        self._fin_sent = False
        self._heard_at = 0.0
        self._rest_until = 0.0
        self._suspicion = False
        self._lost = Ranges()
        self._moved = False
        self._began_s: float | None = None
        self._fin_s: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent for this recording."""
        waits = self._habits.waits and self.receipt is not None and self.receipt.until_told
        ended = self.phase in {Phase.REFUSED, Phase.ABANDONED, Phase.SMASHED}
        return ended or (self.phase is Phase.RECEIPTED and not waits)

    @property
    def sent_octets(self) -> int:
        """What has left the camera, durable or still under way."""
        return (self.durable | self._flying).octets

    @property
    def landed(self) -> bool:
        """Whether everything that has left the camera is durable."""
        return not self._flying

    def smash(self) -> None:
        """The camera is no more: nothing is said to anybody."""
        self.phase = Phase.SMASHED
        self._queries.clear()
        facts = {"recording": self.recording.name, "size": self.recording.size, "bytes": self.durable.octets}
        self.happenings.append({"event": "smashed", **facts})

    def connected(self, now: float) -> None:
        """The response topic is subscribed: offer the recording, whatever came of it before."""
        self._began_s = now if self._began_s is None else self._began_s
        if not self.over:
            self._offer(now)

    def disconnected(self) -> None:
        """What was in flight is unknown again; the next offer tells."""
        self._flying = Ranges()
        self._queries.clear()
        self._fin_sent = False
        if not self.over:
            self.phase = Phase.OFFLINE

    def abandon(self) -> None:
        """Give the recording up on purpose; what came may be sealed as incomplete."""
        if not self.over:
            self._queries = [Command("abort")]

    def take(self, now: float) -> Command | None:
        """The next command to publish, or None when it is the gateway's turn."""
        if self._queries:
            self._heard_at = now
            command = self._queries.pop(0)
            self.phase = Phase.ABANDONED if command.leaf == "abort" else self.phase
            return command
        if self.phase is not Phase.SENDING:
            return None
        return self._next_segment(now) or self._fin(now)

    def deadline(self) -> float | None:
        """When tick is next of use."""
        if self.over or self.phase is Phase.OFFLINE:
            return None
        return self._rest_until if self.phase is Phase.RESTING else self._heard_at + self._patience_now_s

    def tick(self, now: float) -> None:
        """Let time pass: a rest ends, or silence makes the camera ask again."""
        due = self.deadline()
        if due is None or now < due:
            return
        if self.phase is Phase.RESTING:
            self._offer(now)
            return
        self.troubles["silence"] += 1
        self._heard_at = now
        self._patience_now_s = min(PATIENCE_CAP_S, self._patience_now_s * 1.5)
        if self.phase is Phase.RECEIPTED:
            self._queries = [Command("status")]
        elif self.phase is Phase.OFFERING or not self._window:
            self._offer(now)
        elif self.phase is Phase.CLOSING and not self._whole - self.durable:
            self._queries = [self._fin_command()]
        else:
            self._queries = [Command("status")]

    def receive(self, payload: bytes, now: float) -> bool:
        """Take one message of the response topic; False when it is not about this recording."""
        answer = parse_answer(payload)
        if answer is None:
            self._violate("response_unreadable")
            return False
        if answer.get("recording") != self.recording.name:
            return False
        if not self.over:
            self._heard_at, self._patience_now_s = now, self._patience_s
            self._judge(answer, now)
        elif self.phase is Phase.RECEIPTED and isinstance(answer.get("receipt"), dict):
            self._note_receipt(answer["receipt"], now)  # nobody asked: its copies have been verified since
        return True

    def _judge(self, answer: Mapping[str, object], now: float) -> None:
        command = command_of(answer.get("topic"), self.recording.name)
        window = answer.get("window_bytes")
        self._window = window if type(window) is int else self._window
        if "durable" in answer:
            self._note_durable(pairs(answer["durable"]), command)
        if isinstance(answer.get("receipt"), dict):
            self._note_receipt(answer["receipt"], now)
        if not self.over:
            self._obey(answer, command, now)

    def _obey(self, answer: Mapping[str, object], command: str, now: float) -> None:
        code = answer.get("reason_code")
        if code == OK:
            self._proceed(command)
        elif code == SEND_MISSING:
            self._resend(pairs(answer.get("missing")), command, now)
        elif code == NOT_NOW:
            self._rest(command, now + rest_s(answer.get("retry_after_s")), "not_now")
        elif code == MALFORMED:
            self._violate(f"refused:{command}:{answer.get('reason_description')}")
            self.phase = Phase.REFUSED
        else:
            self._repeat(command, str(answer.get("reason_description")), now)

    def _proceed(self, command: str) -> None:
        """A success; an answer to init or status says what is missing, so what flew past it is sent again."""
        offered = command == "init" and self.phase is Phase.OFFERING
        stuck = command == "status" and self.phase in {Phase.SENDING, Phase.CLOSING} and not self._moved
        if offered or stuck:
            self._flying = Ranges()
            self.phase = Phase.SENDING
        if self._whole - self.durable - self._flying:
            self._fin_sent = False
        elif self._fin_sent and self.phase is Phase.SENDING:
            self.phase = Phase.CLOSING

    def _resend(self, missing: Ranges, command: str, now: float) -> None:
        """0x10: exactly what is missing goes again; the rest is at the gateway's end."""
        if not missing:
            self._rest(command, now + self._patience_s, "missing_unnamed")
            return
        if missing & self.memory.ever - self._lost:
            self._suspect("durable_asked_again", command)
            if not missing - self.durable:  # it says both in one breath: no byte to send, and no use in hammering
                self._rest(command, now + self._patience_s, "contradiction")
                return
        self._flying = self._whole - self.durable - missing
        self.troubles["missing"] += 1
        self.happenings.append({"event": "missing", "recording": self.recording.name, "missing": missing.listed()})
        self._fin_sent = False
        self.phase = Phase.SENDING

    def _repeat(self, command: str, description: str, now: float) -> None:
        """0x80: this segment or command again; what stays bad waits instead of hammering."""
        self.troubles[f"bad:{description}"] += 1
        if command.isdecimal() and self.troubles[f"bad_at:{command}"] < 3:
            self.troubles[f"bad_at:{command}"] += 1
            self._land(command)
        else:
            self._rest(command, now + self._patience_s, "bad")

    def _rest(self, command: str, until: float, why: str) -> None:
        self._land(command)
        self._fin_sent = False
        self._rest_until = until if self.phase is not Phase.RESTING else max(until, self._rest_until)
        self.phase = Phase.RESTING
        self.troubles[why] += 1
        self.happenings.append({"event": "resting", "recording": self.recording.name, "why": why, "command": command})

    def _land(self, command: str) -> None:
        """A segment that the gateway did not take is no longer in flight."""
        if command.isdecimal():
            start = int(command)
            self._flying -= Ranges.of([(start, self._ends.get(start, start))])
            self._fin_sent = False
            if self.phase is Phase.CLOSING:
                self.phase = Phase.SENDING

    def _note_durable(self, durable: Ranges, command: str) -> None:
        self._moved = bool(durable - self.durable)
        self.durable = durable
        self._flying -= durable
        if durable - self._whole:
            self._violate("durable_beyond_recording")
        if self.memory.ever - self._lost - durable:
            self._suspect("durable_shrank", command)
        else:
            self._suspicion = False
        if durable - self.memory.ever:
            self.memory.ever |= durable
            self.happenings.append(
                {
                    "event": "durable",
                    "recording": self.recording.name,
                    "durable": durable.listed(),
                    "bytes": durable.octets,
                }
            )

    def _suspect(self, what: str, command: str) -> None:
        """A broker may deliver an old response twice: a short list is a reason to ask, a short answer is a breach."""
        if self._suspicion and command == "status":
            self._violate(what)
            self._lost = self.memory.ever - self.durable
            self._suspicion = False
            return
        self._suspicion = True
        if Command("status") not in self._queries:
            self._queries.append(Command("status"))

    def _note_receipt(self, receipt: object, now: float) -> None:
        if self._habits.renumbers and isinstance(receipt, dict) and receipt.get("sha256") != self.recording.sha256:
            self.troubles["receipt_of_namesake"] += 1  # late, of the recording that had this number before
            return
        try:
            verified = verify_receipt(receipt if isinstance(receipt, dict) else {}, self.recording, self.key)
        except ProofError as error:
            self._violate(f"receipt_invalid:{error}")
            self._rest("fin", now + PATIENCE_CAP_S, "receipt_invalid")
            return
        if self.memory.exhibit not in {None, verified.exhibit}:
            self._violate(f"exhibit_changed:{self.memory.exhibit}:{verified.exhibit}")
        before, self.receipt = self.receipt, verified
        self.key = verified.key or self.key
        self.memory.exhibit = verified.exhibit
        self.memory.receipt = receipt if isinstance(receipt, dict) else None
        self.phase = Phase.RECEIPTED
        if before is not None and (before.copies, before.keep_until) == (verified.copies, verified.keep_until):
            return
        self.happenings.append(
            {
                "event": "receipt" if before is None else "receipt_renewed",
                "recording": self.recording.name,
                "exhibit": verified.exhibit,
                "log_index": verified.log_index,
                "size": self.recording.size,
                "sha256": self.recording.sha256,
                "keep_until": verified.keep_until,
                "copies": verified.copies,
                "upload_s": round(now - (self._began_s or now), 4),
                "receipt_s": round(now - (self._fin_s or now), 4),
            }
        )

    def _violate(self, what: str) -> None:
        self.violations.append(f"{self.recording.name}:{what}")
        self.happenings.append({"event": "violation", "recording": self.recording.name, "violation": what})

    def _offer(self, now: float) -> None:
        self.phase = Phase.OFFERING
        self._heard_at = now
        self._fin_sent = False
        self._queries = [Command("init", self._offer_payload())]

    def _offer_payload(self) -> bytes:
        return offer_payload(self.recording, live=self._habits.live_pace > 0, shown=self.memory.shown)

    def _made(self, now: float) -> Ranges:
        """What there is of the recording by now: a live one grows, a dying camera sends no more than its battery."""
        pace, began_s = self._habits.live_pace, now if self._began_s is None else self._began_s
        octets = min(self.recording.size, int(pace * (now - began_s))) if pace else self.recording.size
        if self._habits.dies_at:
            octets = min(octets, int(self.recording.size * self._habits.dies_at) + 1)
        return Ranges.of([(0, octets)])

    def _next_segment(self, now: float) -> Command | None:
        todo = self._made(now) - self.durable - self._flying
        if not todo:
            return None
        start, end = self._pick(todo)
        room = self._habits.window(self._window) - self._flying.octets
        if end - start > room and (self._flying or room <= 0):
            return None
        end = min(end, start + room)
        start = max(0, start - self._habits.overlap)
        self._flying |= Ranges.of([(start, end)])
        self._ends[start] = end
        self._heard_at = now
        return Command(str(start), span=(start, end))

    def _pick(self, todo: Ranges) -> tuple[int, int]:
        """The next segment; out of order, one of the next few by chance."""
        octets, ahead = self._habits.segment_octets, LOOK_AHEAD if self._habits.out_of_order else 1
        cut = [(at, min(end, at + octets)) for start, end in todo.parts[:ahead] for at in _starts(start, end, octets)]
        return cut[0] if ahead == 1 else self._chance.choice(cut[:ahead])

    def _fin(self, now: float) -> Command | None:
        if self._fin_sent or self._whole - self.durable - self._flying:
            return None
        self._heard_at = now
        self._fin_s = now if self._fin_s is None else self._fin_s
        self.phase = Phase.CLOSING
        return self._fin_command()

    def _fin_command(self) -> Command:
        self._fin_sent = True
        return Command(f"fin/{self.recording.size}/{self.recording.sha256}", self.manifest)


def _starts(start: int, end: int, octets: int) -> range:
    return range(start, min(end, start + LOOK_AHEAD * octets), octets)
