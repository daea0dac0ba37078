"""The line reader: recorded fragments in every chunking, odd headers, noise."""

import pytest

from drivers.tetra import pei
from drivers.tetra.bits import Bits


def read(*pieces: bytes) -> list[pei.Item]:
    """All items of some pieces and of the end."""
    reader = pei.LineReader()
    items = [item for piece in pieces for item in reader.feed(piece)]
    return items + reader.finish()


def short_data(*pieces: bytes) -> list[pei.SdsIndication]:
    """Only the short data."""
    return [item for item in read(*pieces) if isinstance(item, pei.SdsIndication)]


def test_recorded_fragments_give_273_short_data(fragments):
    """As the port delivered them; nothing unreadable in it."""
    assert len(fragments) == 563
    items = read(*fragments)
    assert sum(isinstance(item, pei.SdsIndication) for item in items) == 273
    assert sum(isinstance(item, pei.Result) for item in items) == 6
    assert not [item for item in items if isinstance(item, pei.Unreadable | pei.Line)]


def test_whole_and_byte_by_byte_are_the_same(fragments):
    """Three feeds, one result."""
    whole = b"".join(fragments)
    items = read(*fragments)
    assert read(whole) == items
    assert read(*(whole[at : at + 1] for at in range(len(whole)))) == items


@pytest.mark.parametrize(
    ("header", "digits", "service", "calling", "length"),
    [
        ("+CTSDSR: 12,2269001,0,9999,0,84", "0A112853A9FF4D4FFFE810", 12, 2269001, 84),
        ("+CTSDSR: 12,1148920,0,9999,0,84", "0A0B97ED68DC8712FFE82", 12, 1148920, 84),
        ("+CTSDSR: 12,1234567,0,9876543,0,88", "0A30000000000007FFE810", 12, 1234567, 88),
        ("+CTSDSR: 13,6377461,0,4378565,0,16", "8003", 13, 6377461, 16),
        ("+CTSDSR:12,1033,0,3130,0,64", "8204010574657374", 12, 1033, 64),
        ("+CTSDSR: 12,9999,64", "8204010574657374", 12, None, 64),
        ("+CTSDSR: 12,9999,0,64", "8204010574657374", 12, None, 64),
        ("+CTSDSR: 12,1033,0,3130,0,64,0", "8204010574657374", 12, 1033, 64),
        ("+CTSDSR: 12,1033,0,3130,0,1,64", "8204010574657374", 12, 1033, 64),
        ("+CTSDSR: 12,,,3130,0,64", "8204010574657374", 12, None, 64),
        ("+CTSDSR: 13,09011638300023401,1,3130,0,16", "0000", 13, 23401, 16),
        ("+CTSDSR: 13,2620100108280651,1,3130,0,16", "0000", 13, 8280651, 16),
        ("+CTSDSR: 13,262010008280651,1,3130,0,16", "0000", 13, 8280651, 16),
        ('+CTSDSR: 13,"1033",0,"3130",0,16', "0000", 13, 1033, 16),
        ("+CTSDSR: 13,1033,0,3130,0,8", "0000", 13, 1033, 16),
        ("+CTSDSR: 12,1033,0,3130,0,2000", "0000", 12, 1033, 16),
    ],
)
def test_headers(header, digits, service, calling, length):
    """Every number of fields, blank or not, TSIs, odd digits, wrong lengths."""
    (heard,) = short_data(f"\r\n{header}\r\n{digits}\r\n".encode())
    assert heard.service == service
    assert (heard.calling.ssi if heard.calling else None) == calling
    assert heard.bits.length == length
    assert heard.raw == f"{header}\r\n{digits}".encode()
    assert not heard.doubt


@pytest.mark.parametrize("calling", ["0", "16777216", "garbage", "-5", "+5", "99999999999999999999"])
def test_an_identity_that_is_none_does_not_cost_the_data(calling):
    """An emergency from nobody is an emergency."""
    (heard,) = short_data(f"+CTSDSR: 13,{calling},0,2,0,16\r\n0000\r\n".encode())
    assert heard.calling is not None
    assert heard.calling.ssi is None
    assert heard.bits == Bits(0, 16)


@pytest.mark.parametrize("header", ["13,1,2,3,4", "13,1", "13", "13,1,0,2,0,x", "13,1,0,2,0,16,0,0"])
def test_an_odd_header_is_a_doubt_not_a_loss(header):
    """The data still comes out, marked."""
    (heard,) = short_data(f"+CTSDSR: {header}\r\n0000\r\n".encode())
    assert heard.doubt
    assert heard.bits == Bits(0, 16)


def test_a_header_without_a_service_is_unreadable_with_its_digits():
    """Both lines are kept together."""
    (item,) = read(b"+CTSDSR: x,1,0,2,0,16\r\n0000\r\n")
    assert item == pei.Unreadable(b"+CTSDSR: x,1,0,2,0,16\r\n0000", "indication without an AI service")


def test_other_lines_between_header_and_digits():
    """The state that awaits digits survives noise of other business."""
    items = read(b"+CTSDSR: 13,1,0,2,0,16\r\n+ENCR: 15,SHFW SE 30-43LF8/6\r\n\r\n\r\nOK\r\n8003\r\n")
    assert [type(item) for item in items] == [pei.Unsolicited, pei.Result, pei.SdsIndication]


def test_digits_never_go_to_another_officers_header():
    """A damaged line ends the wait: what follows may be somebody else's."""
    items = read(b"+CTSDSR: 13,1,0,2,0,16\r\n80\x0003\r\n+CT\x00SDSR: 13,2,0,2,0,16\r\n0000\r\n")
    assert all(isinstance(item, pei.Unreadable) for item in items)
    assert len(items) == 4


def test_a_second_header_gives_the_first_up():
    """The first is kept as unreadable, the second goes on."""
    items = read(b"+CTSDSR: 13,1,0,2,0,16\r\n+CTSDSR: 13,3,0,2,0,16\r\n8003\r\n")
    assert isinstance(items[0], pei.Unreadable)
    assert isinstance(items[1], pei.SdsIndication)
    assert items[1].calling == pei.Address("3", 3)


def test_waiting_for_digits_is_bounded():
    """A header does not wait for ever."""
    items = read(b"+CTSDSR: 13,1,0,2,0,16\r\n" + b"+ENCR: 1,x\r\n" * pei.MAX_BETWEEN + b"8003\r\n")
    assert not [item for item in items if isinstance(item, pei.SdsIndication)]
    assert items[-1] == pei.Unreadable(b"8003", "hex digits without an indication")


def test_noise_in_front_of_a_header_does_not_cost_it():
    """The byte that broke the line is looked at again."""
    items = read(b"\x00\xff\x13+CTSDSR: 13,1,0,2,0,16\r\n0000\r\n")
    assert items[0] == pei.Unreadable(b"\x00\xff\x13", "noise in front of an indication")
    assert isinstance(items[1], pei.SdsIndication)


def test_an_overlong_line_is_kept_in_pieces_and_ends():
    """Memory is bounded, nothing is dropped, the next line is read."""
    noise = b"x" * (3 * pei.MAX_LINE + 5)
    items = read(noise + b"\r\nOK\r\n")
    assert b"".join(item.raw for item in items[:-1]) == noise
    assert all(isinstance(item, pei.Unreadable) for item in items[:-1])
    assert items[-1] == pei.Result(None, b"OK")


def test_a_header_behind_an_overlong_burst_of_noise():
    """Noise without a line end must not cost the emergency behind it."""
    items = read(b"\xf0" * 5000 + b"+CTSDSR: 13,1,0,2,0,16\r\n0000\r\n")
    assert isinstance(items[-1], pei.SdsIndication)


def test_more_digits_than_an_sds_has():
    """The security limit of digits."""
    (item,) = read(b"+CTSDSR: 12,1,0,2,0,2047\r\n" + b"A" * 1025 + b"\r\n")
    assert isinstance(item, pei.Unreadable)


def test_empty_short_data():
    """Stated 0 bits: no second line is awaited."""
    (heard,) = short_data(b"+CTSDSR: 12,1,0,2,0,0\r\n\r\n")
    assert heard.bits == Bits(0, 0)


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"OK", None), (b"ERROR", -1), (b"+CME ERROR: 35", 35), (b"+CME ERROR:4", 4), (b"+CMS ERROR: 500", 500)],
)
def test_results(line, code):
    """Ends of commands."""
    assert read(line + b"\r\n") == [pei.Result(code, line)]


def test_boot_transcript():
    """A recorded boot with its extra line ends."""
    items = read(
        b"\r\nOK\r\n\r\n+GMI: MOTOROLA\r\n\r\nOK\r\n\r\n",
        b"+GMM: 54009,M83PFT6TZ6AG,91.2.0.0\r\n\r\nOK\r\n\r\n2,16777184\r\n",
    )
    assert [item.text for item in items if isinstance(item, pei.Unsolicited)] == [
        "MOTOROLA",
        "54009,M83PFT6TZ6AG,91.2.0.0",
    ]
    assert items[-1] == pei.Line("2,16777184", b"2,16777184")


def test_a_stream_that_ends_in_a_header():
    """The end of a capture loses nothing."""
    (item,) = read(b"+CTSDSR: 13,1,0,2,0,16")
    assert item == pei.Unreadable(b"+CTSDSR: 13,1,0,2,0,16", "indication without hex digits")


def test_what_surrounds_the_digits_is_kept():
    """An odd control character beside an emergency's digits costs neither the emergency nor the character."""
    reader = pei.LineReader()
    (item,) = reader.feed(b"+CTSDSR: 13,1,0,2,0,16\r\n0000\x0b\r\n")
    assert isinstance(item, pei.SdsIndication)
    assert item.raw == b"+CTSDSR: 13,1,0,2,0,16\r\n0000\x0b"
