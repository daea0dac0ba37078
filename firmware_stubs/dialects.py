"""What the makes of radio do differently on their serial port. Data, not control flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dialect:
    """One make's habits; `stated_lip_bits` and `lip_digits` are what its reports say and hold.

    `in_call` is the error for short data while a call is up, `gap_s` the least time between two short data,
    `table` how many registrations fit, `data_bits` the longest short data that it takes.
    """

    name: str
    identity: Mapping[str, str]
    lead: bytes
    stated_lip_bits: int
    lip_digits: int
    encryption_field: bool = False
    noise: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    in_call: int = 42
    gap_s: float = 0.0
    table: int = 64
    data_bits: int = 1184


_NOISE = ("+ENCR: 15,SHFW SE 30-43LF8/6", "+ENCR: 15,PBO CC 02")

DIALECTS: Mapping[str, Dialect] = {
    each.name: each
    for each in (
        Dialect(
            "motorola",
            {"GMI": "MOTOROLA", "GMM": "54009,M83PFT6TZ6AG,91.2.0.0", "GMR": "R27.220.9063"},
            lead=b"\r\n\r\n",
            stated_lip_bits=88,
            lip_digits=22,
            noise=_NOISE,
            gap_s=0.5,
        ),
        Dialect(
            "motorola-old",
            {"GMI": "MOTOROLA", "GMM": "54007,M80PCG6TZ5AG,91.2.0.0", "GMR": "R11.030.2261"},
            lead=b"\r\n\r\n",
            stated_lip_bits=84,
            lip_digits=22,
            noise=_NOISE,
            gap_s=0.5,
        ),
        Dialect(
            "sepura",
            {"GMI": "SEPURA", "GMM": "SRG3900", "GMR": "1789 001 07524"},
            lead=b"\r\n",
            stated_lip_bits=84,
            lip_digits=21,
            encryption_field=True,
            refused={"CBC": 35, "I": 34},
            in_call=3,
        ),
    )
}
