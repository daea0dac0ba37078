"""The GSM 7-bit alphabet, packed low bits first (3GPP TS 23.038 clauses 6.1.2 and 6.2.1)."""

from __future__ import annotations

ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {10: "\f", 20: "^", 40: "{", 41: "}", 47: "\\", 60: "[", 61: "~", 62: "]", 64: "|", 101: "€"}
ESCAPE = 27
_CODES = {letter: code for code, letter in enumerate(ALPHABET)}
_EXTENDED = {letter: code for code, letter in EXTENSION.items()}


def decode(octets: bytes, length_bits: int) -> str:
    """Read packed septets; a septet of padding that fills the last octet is no letter."""
    value = int.from_bytes(octets, "little")
    codes = [value >> (7 * place) & 0x7F for place in range(length_bits // 7)]
    if length_bits % 56 == 0 and codes and codes[-1] in {0, 13}:
        codes.pop()
    letters: list[str] = []
    escaped = False
    for code in codes:
        if code == ESCAPE and not escaped:
            escaped = True
            continue
        letters.append(EXTENSION.get(code, ALPHABET[code]) if escaped else ALPHABET[code])
        escaped = False
    return "".join(letters)


def encode(text: str) -> bytes:
    """Print as packed septets; a letter that the alphabet lacks becomes a question mark."""
    codes: list[int] = []
    for letter in text:
        if letter in _EXTENDED:
            codes += (ESCAPE, _EXTENDED[letter])
        else:
            codes.append(_CODES.get(letter, _CODES["?"]))
    if len(codes) % 8 == 7:
        codes.append(13)  # seven letters leave room for an eighth, which would be read as one
    value = sum(code << (7 * place) for place, code in enumerate(codes))
    return value.to_bytes(-(-7 * len(codes) // 8), "little")
