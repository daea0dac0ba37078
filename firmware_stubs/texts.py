"""Texts as a radio's screen shows them (TS 100 392-2, clause 29.5.3 and 29.5.4): decoded, and joined where in parts."""

from firmware_stubs.sds import PID_SIMPLE_TEXT, PID_TEXT, Downlink

PID_IMMEDIATE, PID_TL_IMMEDIATE, PID_PARTS = 0x09, 0x89, 0x8A
TEXT_PROTOCOLS = {PID_SIMPLE_TEXT, PID_IMMEDIATE, PID_TEXT, PID_TL_IMMEDIATE, PID_PARTS}
GSM7, UTF16 = 0, 26
PARTS_CAP = 16
_PART_ELEMENTS = {0x00, 0x08}
_GSM7 = (
    "@\u00a3$\u00a5\u00e8\u00e9\u00f9\u00ec\u00f2\u00c7\n\u00d8\u00f8\r\u00c5\u00e5\u0394_\u03a6\u0393\u039b\u03a9\u03a0"
    "\u03a8\u03a3\u0398\u039e\x1b\u00c6\u00e6\u00df\u00c9 !\"#\u00a4%&'()*+,-./0123456789:;<=>?\u00a1ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZ\u00c4\u00d6\u00d1\u00dc\u00a7\u00bfabcdefghijklmnopqrstuvwxyz\u00e4\u00f6\u00f1\u00fc\u00e0"
)
_GSM7_MORE = {20: "^", 40: "{", 41: "}", 47: "\\", 60: "[", 61: "~", 62: "]", 64: "|", 101: "\u20ac"}
_ISO = {**{code: f"iso8859-{code}" for code in range(1, 11)}, 11: "iso8859-13", 12: "iso8859-14", 13: "iso8859-15"}


class Inbox:
    """The texts that a radio was sent; parts wait for one another."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict[int, bytes]] = {}

    def read(self, down: Downlink) -> str | None:
        """The text to show, or None: no text, or parts are still missing."""
        octets, protocol = down.octets, down.protocol
        if protocol not in TEXT_PROTOCOLS:
            return None
        body = octets[1:] if protocol < 0x80 else octets[3:]
        if not body:
            return ""
        stamped, coding = body[0] >> 7 and protocol >= 0x80, body[0] & 0x7F
        words = body[4 if stamped else 1 :]
        if protocol == PID_PARTS:
            joined = self._join(words)
            return None if joined is None else decode(coding, joined)
        bits = None if down.bits is None else down.bits - 8 * (len(octets) - len(words))
        return decode(coding, words, bits)

    def _join(self, words: bytes) -> bytes | None:
        """The user data header (clause 29.5.10): length, then elements 00 or 08 of reference, total and number."""
        size = words[0] if words else 0
        header, rest = words[1 : 1 + size], words[1 + size :]
        if len(header) < 5 or header[0] not in _PART_ELEMENTS:
            return rest
        reference, (total, number) = int.from_bytes(header[2:-2], "big"), header[-2:]
        while len(self._parts) > PARTS_CAP:
            self._parts.pop(next(iter(self._parts)))
        parts = self._parts.setdefault((reference, total), {})
        parts[number] = rest
        if len(parts) < total:
            return None
        del self._parts[reference, total]
        return b"".join(parts[each] for each in sorted(parts))


def decode(coding: int, words: bytes, bits: int | None = None) -> str:
    """Characters of a text coding scheme (table 29.29); what the radio cannot show is a question mark."""
    if coding == GSM7:
        return gsm7(words, bits)
    if coding == UTF16:
        return words.decode("utf-16-be", "replace")
    return words.decode(_ISO.get(coding, "latin-1"), "replace")


def gsm7(words: bytes, bits: int | None = None) -> str:
    """Septets packed from the low bit up; a carriage return that fills the last octet is none."""
    value, count = int.from_bytes(words, "little"), (8 * len(words) if bits is None else bits) // 7
    shown, escaped = "", False
    for place in range(count):
        septet = value >> 7 * place & 0x7F
        if septet == 0x1B and not escaped:
            escaped = True
            continue
        shown += _GSM7_MORE.get(septet, " ") if escaped else _GSM7[septet]
        escaped = False
    # Seven spare bits would be one more character, "@": who packs fills them.
    return shown[:-1] if count % 8 == 0 and shown[-1:] in {"@", "\r"} else shown
