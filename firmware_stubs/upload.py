"""The camera's side of upload protocol version 1: responses in, commands out, time as an argument."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from firmware_stubs.proof import ProofError, VerifierKey
from firmware_stubs.ranges import Ranges
from firmware_stubs.receipt import Receipt, Recording, verify_receipt

SEGMENT = 1024 * 1024
LEAST_SEGMENT = 16 * 1024
DEFAULT_RETRY_S = 5.0
REST_CAP_S = 3600.0
PATIENCE_CAP_S = 10.0
RESPONSE_CAP = 1024 * 1024
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
class Habits:
    """How one camera behaves: bytes a second it can send (0 is no limit), how long it bears silence.

    smash_at: the share of its first upload at which it is smashed, and never heard of again (0 is never).
    """

    pace: float = 0.0
    patience_s: float = 3.0
    abandon_at: int = 0
    smash_at: float = 0.0

    @property
    def segment_octets(self) -> int:
        """A quarter of a second's worth on a slow link, so that commands are not stuck behind footage."""
        return min(SEGMENT, max(LEAST_SEGMENT, round(self.pace / 4))) if self.pace else SEGMENT


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


class Upload:
    """One recording on its way; it trusts nothing but the response topic."""

    def __init__(self, recording: Recording, memory: Memory, key: VerifierKey, habits: Habits | None = None) -> None:
        self.recording, self.memory = recording, memory
        habits = habits or Habits()
        self.phase = Phase.OFFLINE
        self.durable = Ranges()
        self.receipt: Receipt | None = None
        self.manifest = b""
        self.violations: list[str] = []
        self.troubles: Counter[str] = Counter()
        self.happenings: list[dict[str, object]] = []
        self._key = key
        self._whole = Ranges.of([(0, recording.size)])
        self._flying = Ranges()
        self._ends: dict[int, int] = {}
        self._window = 0
        self._patience_s = self._patience_now_s = habits.patience_s
        self._segment_octets = habits.segment_octets
        self._queries: list[Command] = []
        self._fin_sent = False
        self._heard_at = 0.0
        self._rest_until = 0.0
        self._suspicion = False
        self._lost = Ranges()
        self._moved = False

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent for this recording."""
        return self.phase in {Phase.RECEIPTED, Phase.REFUSED, Phase.ABANDONED, Phase.SMASHED}

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
        if self.phase is Phase.OFFERING or not self._window:
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
        try:
            verified = verify_receipt(receipt if isinstance(receipt, dict) else {}, self.recording, self._key)
        except ProofError as error:
            self._violate(f"receipt_invalid:{error}")
            self._rest("fin", now + PATIENCE_CAP_S, "receipt_invalid")
            return
        if self.memory.exhibit not in {None, verified.exhibit}:
            self._violate(f"exhibit_changed:{self.memory.exhibit}:{verified.exhibit}")
        self.receipt = verified
        self.memory.exhibit = verified.exhibit
        self.memory.receipt = receipt if isinstance(receipt, dict) else None
        self.phase = Phase.RECEIPTED
        self.happenings.append(
            {
                "event": "receipt",
                "recording": self.recording.name,
                "exhibit": verified.exhibit,
                "log_index": verified.log_index,
                "size": self.recording.size,
                "sha256": self.recording.sha256,
                "keep_until": verified.keep_until,
            }
        )

    def _violate(self, what: str) -> None:
        self.violations.append(f"{self.recording.name}:{what}")
        self.happenings.append({"event": "violation", "recording": self.recording.name, "violation": what})

    def _offer(self, now: float) -> None:
        self.phase = Phase.OFFERING
        self._heard_at = now
        self._fin_sent = False
        self._queries = [Command("init", offer_payload(self.recording))]

    def _next_segment(self, now: float) -> Command | None:
        todo = self._whole - self.durable - self._flying
        if not todo:
            return None
        start, end = todo.parts[0]
        end = min(end, start + self._segment_octets)
        room = self._window - self._flying.octets
        if end - start > room and (self._flying or room <= 0):
            return None
        end = min(end, start + room)
        self._flying |= Ranges.of([(start, end)])
        self._ends[start] = end
        self._heard_at = now
        return Command(str(start), span=(start, end))

    def _fin(self, now: float) -> Command | None:
        if self._fin_sent or self._whole - self.durable - self._flying:
            return None
        self._heard_at = now
        self.phase = Phase.CLOSING
        return self._fin_command()

    def _fin_command(self) -> Command:
        self._fin_sent = True
        return Command(f"fin/{self.recording.size}/{self.recording.sha256}", self.manifest)


def offer_payload(recording: Recording) -> bytes:
    """The init command's JSON."""
    offer = {
        "v": 1,
        "name": f"{recording.name}.mp4",
        "size": recording.size,
        "checksum": recording.sha256,
        "content_type": "video/mp4",
        "started_at": recording.started_at,
        "ended_at": recording.ended_at,
        "user_data": {"trigger": recording.trigger},
    }
    return json.dumps(offer, separators=(",", ":")).encode()


def parse_answer(payload: bytes) -> Mapping[str, object] | None:
    """A response as a JSON object of version 1; None for anything else."""
    try:
        answer = json.loads(payload) if len(payload) <= RESPONSE_CAP else None
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and answer.get("v") == 1 else None


def rest_s(retry_after: object) -> float:
    """How long "not now" is: what the gateway says, up to an hour; a few seconds where it says nothing usable."""
    usable = isinstance(retry_after, int | float) and 0 <= retry_after <= REST_CAP_S
    return float(str(retry_after)) if usable and not isinstance(retry_after, bool) else DEFAULT_RETRY_S


def command_of(topic: object, recording: str) -> str:
    """Which command an answer names (`init`, `status`, `fin`, an offset), or "" for an unasked report."""
    if not isinstance(topic, str):
        return ""
    marker = f"/file/{recording}/"
    tail = topic.split(marker, 1)[1] if marker in topic else topic.removeprefix("\u2026/")
    return tail.split("/", 1)[0]


def pairs(value: object) -> Ranges:
    """Ranges as JSON writes them; what is no pair of integers is left out."""
    found = value if isinstance(value, list) else []
    good = [pair for pair in found if isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)]
    return Ranges.of((start, end) for start, end in good)
