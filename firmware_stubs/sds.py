"""Short data as a radio sends it: texts, statuses, delivery reports (EN 300 392-2, clause 29)."""

from dataclasses import dataclass

AI_STATUS = 13
AI_SDS4 = 12
PID_SIMPLE_TEXT = 0x02
PID_TEXT = 0x82
LATIN_1 = 1
EMERGENCY_STATUS = 0x0000
RECEIVED = 0x00
CONSUMED = 0x02
_SHORT_REPORT = 0b011111 << 10


@dataclass(frozen=True)
class Frame:
    """One short data unit from one radio: `kind` is what the tally calls it, `bits` what the header states."""

    kind: str
    issi: int
    service: int
    hexadecimal: str
    bits: int

    @property
    def protocol(self) -> int | None:
        """The protocol identifier of an SDS type 4; a status has none."""
        return int(self.hexadecimal[:2], 16) if self.service == AI_SDS4 else None


def status(issi: int, value: int, kind: str = "status") -> Frame:
    """A pre-coded status (clause 14.8.34)."""
    return Frame(kind, issi, AI_STATUS, f"{value:04X}", 16)


def emergency(issi: int) -> Frame:
    """The emergency status, value zero."""
    return status(issi, EMERGENCY_STATUS, "emergency")


def simple_text(issi: int, text: str) -> Frame:
    """Simple text messaging: protocol identifier, coding, characters (clause 29.5.2)."""
    return _sds4("text", issi, bytes([PID_SIMPLE_TEXT, LATIN_1]) + text.encode("latin-1"))


def transfer_text(
    issi: int, text: str, reference: int, *, wants_report: bool = False, when_read: bool = False
) -> Frame:
    """An SDS-TRANSFER with text (clauses 29.4.2.4 and 29.5.3); a report, when wanted, is of receipt, or of reading."""
    flags = (0x04 if wants_report else 0x00) | (0x08 if when_read else 0x00)
    return _sds4("text", issi, bytes([PID_TEXT, flags, reference & 0xFF, LATIN_1]) + text.encode("latin-1"))


def delivery_report(
    issi: int, reference: int, outcome: int, protocol: int = PID_TEXT, *, wants_ack: bool = False
) -> Frame:
    """A standard SDS-REPORT, which may ask for an SDS-ACK (clause 29.4.2.2)."""
    kind = 0x18 if wants_ack else 0x10
    return _sds4("delivery_report", issi, bytes([protocol, kind, outcome, reference]))


def short_delivery_report(issi: int, reference: int, outcome: int) -> Frame:
    """A short-form report, sent as a status (clause 29.4.2.3)."""
    form = 3 if outcome == CONSUMED else 2
    return status(issi, _SHORT_REPORT | form << 8 | reference, "delivery_report")


def _sds4(kind: str, issi: int, octets: bytes) -> Frame:
    return Frame(kind, issi, AI_SDS4, octets.hex().upper(), 8 * len(octets))


@dataclass(frozen=True)
class Downlink:
    """Short data that the equipment behind the terminal asked it to send."""

    called: int
    service: int
    hexadecimal: str
    bits: int | None = None

    @property
    def protocol(self) -> int | None:
        """The protocol identifier of an SDS type 4; a status has none."""
        return self.octets[0] if self.service == AI_SDS4 and self.octets else None

    @property
    def octets(self) -> bytes:
        """The payload; an odd last digit is padded with zero."""
        return bytes.fromhex(self.hexadecimal + "0" * (len(self.hexadecimal) % 2))

    @property
    def reference(self) -> int | None:
        """The message reference of an SDS-TRANSFER, or None where this is not one."""
        octets = self.octets
        transfer = self.service == AI_SDS4 and len(octets) > 2 and octets[0] >= 0x80 and octets[1] >> 4 == 0
        return octets[2] if transfer else None

    @property
    def report(self) -> tuple[int, int] | None:
        """Reference and outcome of an SDS-REPORT on a message of the radio's own."""
        return self._outcome(1)

    @property
    def acknowledgement(self) -> tuple[int, int] | None:
        """Reference and outcome of an SDS-ACK on a delivery report of the radio's own (clause 29.4.2.1)."""
        return self._outcome(2)

    def _outcome(self, kind: int) -> tuple[int, int] | None:
        octets = self.octets
        if self.service != AI_SDS4 or len(octets) < 4 or octets[0] < 0x80 or octets[1] >> 4 != kind:
            return None
        return octets[3], octets[2]

    @property
    def report_request(self) -> int:
        """Which delivery reports the sender wants: 0 none, 1 received, 2 consumed, 3 both."""
        return self.octets[1] >> 2 & 3 if self.reference is not None else 0

    @property
    def short_form(self) -> bool:
        """Whether the sender recommends the short form of the report."""
        return self.reference is not None and not self.octets[1] & 2
