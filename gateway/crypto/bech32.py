"""Bech32 (BIP 173) without its length limit, as age writes keys."""

from __future__ import annotations

from collections.abc import Iterable

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECK_LETTERS = 6


class Bech32Error(ValueError):
    """Text is not Bech32 with the prefix asked for."""


def to_bech32(prefix: str, content: bytes) -> str:
    """Print bytes as lower-case Bech32."""
    values = _regroup(content, 8, 5, pad=True)
    residue = _residue(_expanded(prefix) + values + [0] * _CHECK_LETTERS) ^ 1
    check = [(residue >> 5 * (5 - place)) & 31 for place in range(_CHECK_LETTERS)]
    return prefix + "1" + "".join(_LETTERS[value] for value in values + check)


def from_bech32(prefix: str, text: str) -> bytes:
    """Read lower-case Bech32; Bech32Error where prefix, letters, checksum or padding are wrong."""
    if not text.startswith(prefix + "1"):
        raise Bech32Error(f"does not begin with {prefix}1")
    letters = text[len(prefix) + 1 :]
    if len(letters) < _CHECK_LETTERS or not set(letters) <= set(_LETTERS):
        raise Bech32Error("not Bech32")
    values = [_LETTERS.index(letter) for letter in letters]
    if _residue(_expanded(prefix) + values) != 1:
        raise Bech32Error("the checksum does not fit")
    return bytes(_regroup(values[:-_CHECK_LETTERS], 5, 8, pad=False))


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _residue(values: Iterable[int]) -> int:
    residue = 1
    for value in values:
        top = residue >> 25
        residue = (residue & 0x1FFFFFF) << 5 ^ value
        for place, term in enumerate(_GENERATOR):
            residue ^= term if (top >> place) & 1 else 0
    return residue


def _regroup(values: Iterable[int], width: int, into: int, *, pad: bool) -> list[int]:
    """Regroup bits; without padding, left-over bits must be fewer than a group, and zero."""
    held = bits = 0
    groups: list[int] = []
    for value in values:
        held = (held << width) | value
        bits += width
        while bits >= into:
            bits -= into
            groups.append((held >> bits) & ((1 << into) - 1))
        held &= (1 << bits) - 1
    if pad and bits:
        groups.append((held << (into - bits)) & ((1 << into) - 1))
    elif not pad and (bits >= width or held):
        raise Bech32Error("padding that is not zero")
    return groups
