"""A five by seven bitmap font: just what a camera burns into its picture."""

import numpy as np
from numpy.typing import NDArray

_GLYPHS = {
    "0": "0E11191513110E",
    "1": "040C040404040E",
    "2": "0E11010204081F",
    "3": "1F02040201110E",
    "4": "02060A121F0202",
    "5": "1F101E0101110E",
    "6": "0608101E11110E",
    "7": "1F010204080808",
    "8": "0E11110E11110E",
    "9": "0E11110F01020C",
    "A": "0E11111F111111",
    "B": "1E11111E11111E",
    "C": "0E11101010110E",
    "D": "1E11111111111E",
    "E": "1F10101E10101F",
    "F": "1F10101E101010",
    "G": "0E11101711110F",
    "H": "1111111F111111",
    "I": "0E04040404040E",
    "J": "0702020202120C",
    "K": "11121418141211",
    "L": "1010101010101F",
    "M": "111B1515111111",
    "N": "11111915131111",
    "O": "0E11111111110E",
    "P": "1E11111E101010",
    "Q": "0E11111115120D",
    "R": "1E11111E141211",
    "S": "0F10100E01011E",
    "T": "1F040404040404",
    "U": "1111111111110E",
    "V": "11111111110A04",
    "W": "11111115151B11",
    "X": "11110A040A1111",
    "Y": "11110A04040404",
    "Z": "1F01020408101F",
    "-": "0000001F000000",
    ":": "00040000000400",
    ".": "00000000000404",
    "_": "0000000000001F",
    " ": "00000000000000",
}
ROWS, COLUMNS = 7, 6


def draw(text: str, scale: int) -> NDArray[np.bool_]:
    """The text as a mask of pixels, each dot of the font `scale` pixels wide; other characters are blanks."""
    mask = np.zeros((ROWS, COLUMNS * len(text)), dtype=np.bool_)
    for place, character in enumerate(text.upper()):
        rows = bytes.fromhex(_GLYPHS.get(character, _GLYPHS[" "]))
        for row, dots in enumerate(rows):
            for column in range(COLUMNS - 1):
                mask[row, place * COLUMNS + column] = bool(dots >> (4 - column) & 1)
    return mask.repeat(scale, axis=0).repeat(scale, axis=1)
