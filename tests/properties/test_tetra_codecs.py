"""For all: nothing unexpected is raised; parse and print are inverse; any chunking gives the same events."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.tetra import gsm7, lip, lip_json, pei, sds, sds_json
from drivers.tetra import sds_parts as parts
from drivers.tetra.assembly import Assembler
from drivers.tetra.bits import Bits, from_hex
from drivers.tetra.lip_short import ShortReport, decode_short, encode_short
from drivers.tetra.translate import moment_of
from gateway.errors import WireError
from tests import peers

many = settings(deadline=None)

short_reports = st.builds(ShortReport, *(st.integers(0, (1 << width) - 1) for width in (2, 25, 24, 3, 7, 4, 1, 8)))


@st.composite
def bit_strings(draw, longest=400):
    """Any bit string."""
    length = draw(st.integers(0, longest))
    return Bits(draw(st.integers(0, (1 << length) - 1)), length)


@many
@given(short_reports)
def test_short_parse_after_print(report):
    """Every short report that can be, reads back."""
    assert decode_short(encode_short(report)) == report


@many
@given(st.integers(0, (1 << 74) - 1))
def test_short_print_after_parse(value):
    """Every 76 bits that are a short report, print back."""
    assert encode_short(decode_short(Bits(value, 76))) == Bits(value, 76)


@many
@given(short_reports)
def test_short_reports_survive_json(report):
    """`encode lip` is the inverse of `decode lip`."""
    assert lip_json.from_dict(json.loads(json.dumps(lip_json.as_dict(report)))) == report


@many
@given(bit_strings(), st.sampled_from([None, *range(16)]))
def test_any_bits_are_a_pdu_that_prints_back_or_a_wire_error(bits, extension):
    """Long reports and requests of every kind: identity, or said to be too short."""
    if extension is not None:
        bits = Bits((16 | extension) << bits.length | bits.value, bits.length + 6)
    try:
        pdu = lip.decode(bits)
    except WireError:
        return
    printed = lip.encode(pdu)
    assert printed == Bits(bits.first(printed.length), printed.length)
    known = json.loads(json.dumps(lip_json.as_dict(pdu)))
    assert lip.encode(lip_json.from_dict(known)) == printed


@many
@given(st.integers(0, 15), bit_strings(2047))
def test_any_short_data_is_read_or_a_wire_error(service, bits):
    """No service and no bits raise anything else."""
    try:
        message = sds.decode(service, bits)
    except WireError:
        return
    known = json.loads(json.dumps(sds_json.as_dict(message)))
    if isinstance(message, sds.Lip):
        return
    printed = sds.encode(message)
    assert printed == Bits(bits.first(printed.length), printed.length)
    assert sds.encode(sds_json.from_dict(known)) == printed


headers = st.none() | st.builds(
    parts.Storage, st.integers(0, 31), st.just(1), st.builds(Bits, st.integers(0, 99), st.just(24))
)
numbered = st.builds(parts.Part, st.integers(0, 15), st.integers(0, 255), st.integers(0, 255))
stamps = st.builds(parts.TimeStamp, *(st.integers(0, (1 << width) - 1) for width in (2, 4, 5, 5, 6, 2)))


@many
@given(
    st.sampled_from([0x82, 0x89, 0x8A]),
    st.sampled_from([1, 5, 14, 26]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 255), headers),
    st.tuples(st.none() | stamps, numbered),
)
def test_texts_parse_after_print(pid, coding, text, header, around):
    """Every text with every header that can stand before it."""
    stamp, part = around
    user = parts.user_header(part) if pid == 0x8A else None
    message = sds.Text(pid, coding, text, sds.Header(*header), stamp, user)
    assert sds.decode(12, sds.encode(message)) == message


@many
@given(numbered, st.booleans(), bit_strings(100))
def test_parts_of_a_concatenated_sds_parse_after_print(part, transport, bits):
    """With and without the transport layer."""
    inner = 0x82 if part.number == 1 else None
    header = sds.Header(0, False, 1) if transport else None
    message = sds.Fragment(0x8C if transport else 0x0C, part, bits, inner, header)
    assert sds.decode(12, sds.encode(message)) == message


@many
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.text(max_size=3), st.integers(0, 30))))
def test_no_part_of_any_message_is_lost(script):
    """Any parts in any order: each text comes out at least once, in a whole or with gaps."""
    assembler, now_s, over = Assembler(20), 0.0, []
    for number, total, text, pause_s in script:
        now_s += pause_s
        over += assembler.overdue(now_s)
        user = parts.user_header(parts.Part(1, total, number))
        over += assembler.take("7", sds.Text(0x8A, 26, f"<{text}>", user_header=user), now_s)
    over += assembler.overdue(now_s + 20)
    said = "".join(whole.message.text for whole in over)
    assert all(f"<{text}>" in said for _, _, text, _ in script)
    assert not assembler.pending


@many
@given(st.text(st.sampled_from(gsm7.ALPHABET.replace("\x1b", "").replace("\r", "") + "{}[]~^|€\\")))
def test_gsm_text_round_trips(text):
    """Every text the alphabet has; a final @ that fills its octet is the alphabet's own ambiguity."""
    octets = gsm7.encode(text)
    read = gsm7.decode(octets, 8 * len(octets)).removesuffix("\r")
    assert read == text or (text.endswith("@") and read == text[:-1])


@many
@given(st.text(), st.integers(0, 300))
def test_reading_hex_never_surprises(text, stated):
    """Signs, underscores, other alphabets' digits: all refused."""
    try:
        bits = from_hex(text, stated)
    except WireError:
        assert not all(letter in "0123456789abcdefABCDEF" for letter in text) or not text or len(text) > 1024
        return
    assert bits.length == min(stated, 4 * len(text))


@many
@given(st.lists(st.integers(0, 25_000), max_size=60))
def test_any_chunking_of_the_recording_gives_the_same_items(cuts):
    """Random re-chunkings of the recorded stream."""
    whole = "".join(json.loads(peers.shared("vectors/tetra/chunked_stream.json").read_text())).encode()
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    reader = pei.LineReader()
    items = [item for start, end in pairwise(places) for item in reader.feed(whole[start:end])]
    assert sum(isinstance(item, pei.SdsIndication) for item in items) == 273
    assert items == pei.LineReader().feed(whole)


lines = st.sampled_from(
    [
        b"\r\n",
        b"+CTSDSR: 12,1,0,2,0,88\r\n0A30000000000007FFE810\r\n",
        b"+CTSDSR: 13,1,0,2,0,16\r\n",
        b"0000",
        b"OK\r\n",
        b"+CME ERROR: 35\r\n",
        b"\x00\xff",
        b"x" * 3000,
        b"+CTSDSR:",
        b"\r",
        b"\n",
    ]
)


@many
@given(st.lists(lines | st.binary(max_size=40), max_size=20), st.integers(1, 50))
def test_garbage_never_raises_and_never_depends_on_chunks(parts, size):
    """Noise between and within lines."""
    whole = b"".join(parts)
    once, pieces = pei.LineReader(), pei.LineReader()
    expected = once.feed(whole) + once.finish()
    found = [item for at in range(0, len(whole), size) for item in pieces.feed(whole[at : at + size])]
    assert found + pieces.finish() == expected


@many
@given(st.lists(lines | st.binary(max_size=40), max_size=20))
def test_every_byte_comes_out_again(parts):
    """Nothing but line ends and blanks is dropped on the way."""
    whole = b"".join(parts)
    reader = pei.LineReader()
    items = reader.feed(whole) + reader.finish()
    left = [byte for byte in b"".join(item.raw for item in items) if byte not in b"\r\n \t"]
    # An indication is given up after the line that ended its wait, so order may change, content may not.
    assert sorted(left) == sorted(byte for byte in whole if byte not in b"\r\n \t")


@many
@given(st.tuples(st.integers(0, 31), st.integers(0, 31), st.integers(0, 63), st.integers(0, 63)), st.datetimes())
def test_time_of_position_is_never_far_ahead(position_time, arrived):
    """Any four numbers, at any arrival: a moment not ahead of us, or none."""
    from datetime import UTC, datetime, timedelta

    arrived = arrived.replace(year=2000 + arrived.year % 90, tzinfo=UTC)
    moment = moment_of(position_time, arrived)
    assert moment is None or moment <= arrived + timedelta(minutes=5)
    assert moment is None or isinstance(moment, datetime)
