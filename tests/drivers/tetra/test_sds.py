"""SDS by AI service, text in each coding, reports and statuses."""

import json

import pytest

from drivers.tetra import gsm7, sds
from drivers.tetra.bits import Bits, from_hex
from drivers.tetra.sds_json import as_dict, from_dict
from drivers.tetra.sds_parts import Part, Storage, TimeStamp, user_header
from drivers.tetra.text import coding_for, encode_text
from gateway.errors import WireError

TEXTS = {
    "0201746573746D657373616765": "testmessage",
    "82040801476A61746A616A676A61": "Gjatjajgja",
    "82041D014164676A6D707477": "Adgjmptw",
    "8204010574657374": "test",
}
"""From the reference: decoded by an independent implementation."""


@pytest.mark.parametrize(("hex_text", "text"), TEXTS.items())
def test_texts_decode_and_print_as_they_came(hex_text, text):
    """Both directions of each vector."""
    message = sds.decode(12, from_hex(hex_text))
    assert isinstance(message, sds.Text)
    assert message.text == text
    assert sds.encode(message).hex() == hex_text
    assert from_dict(json.loads(json.dumps(as_dict(message)))) == message


def test_header_of_a_transfer():
    """Report wanted on receipt, short form recommended (bit 0), reference 8."""
    message = sds.decode(12, from_hex("82040801476A61746A616A676A61", 112))
    assert isinstance(message, sds.Text)
    assert message.header == sds.Header(1, standard_report_only=False, reference=8)


@pytest.mark.parametrize(
    ("hex_text", "expected"),
    [
        ("821000C9", sds.Delivery(0x82, 0, 0xC9)),
        ("82100002", sds.Delivery(0x82, 0, 2)),
        ("822001C9", sds.Delivery(0x82, 1, 0xC9, acknowledgement=True)),
    ],
)
def test_delivery_reports(hex_text, expected):
    """Reports and acknowledgements, both directions."""
    assert sds.decode(12, from_hex(hex_text)) == expected
    assert sds.encode(expected).hex() == hex_text
    assert from_dict(as_dict(expected)) == expected


def test_short_report_is_no_status():
    """7ECA: reference CA received; the mask some use gives 7ACA, which is a status."""
    assert sds.decode(13, from_hex("7ECA")) == sds.ShortReport(2, 0xCA)
    assert sds.encode(sds.ShortReport(2, 0xCA)).hex() == "7ECA"
    assert sds.decode(13, from_hex("7ACA")) == sds.Status(0x7ACA)


@pytest.mark.parametrize(("value", "report"), [(0x7BFF, False), (0x7C00, True), (0x7FFF, True), (0x8000, False)])
def test_borders_of_the_short_report(value, report):
    """0x7C00 to 0x7FFF and nothing else."""
    assert isinstance(sds.decode_status(value), sds.ShortReport) is report


def test_status_zero_is_a_status():
    """The emergency value is read like any other."""
    assert sds.decode(13, from_hex("0000")) == sds.Status(0)


@pytest.mark.parametrize(("service", "bits"), [(9, 16), (10, 32), (11, 64)])
def test_types_one_to_three_are_numbers(service, bits):
    """User-defined data of fixed size, too short is an error."""
    assert sds.decode(service, Bits(5, bits)) == sds.Number(Bits(5, bits))
    with pytest.raises(WireError):
        sds.decode(service, Bits(5, bits - 1))


@pytest.mark.parametrize("pid", [0x01, 0x0B, 0x40, 0x83, 0xC3, 0xC4, 0xFE])
def test_unknown_pids_are_kept(pid):
    """Not read here is no error."""
    message = sds.decode(12, Bits(pid << 16 | 0xABCD, 24))
    assert message == sds.Other(pid, Bits(0xABCD, 16))
    assert sds.encode(message) == Bits(pid << 16 | 0xABCD, 24)
    assert from_dict(as_dict(message)) == message


@pytest.mark.parametrize("service", [0, 8, 14, 99])
def test_calls_are_no_short_data(service):
    """Voice and packet data under a short-data indication."""
    with pytest.raises(WireError):
        sds.decode(service, Bits(0, 16))


@pytest.mark.parametrize(
    ("coding", "text"),
    [
        (0, "hello"),
        (0, "sevenxx"),
        (0, "eight888"),
        (0, "£5 {€} [a|b] ~^\\"),
        (0, ""),
        (1, "Grüße"),
        (2, "Łódź"),
        (5, "Привет"),
        (13, "5 €"),
        (26, "Ω 漢字 🚓"),
    ],
)
def test_codings_round_trip(coding, text):
    """GSM 7-bit, ISO 8859 and UTF-16, in a transfer."""
    message = sds.Text(0x82, coding, text, sds.Header(0, standard_report_only=False, reference=1))
    again = sds.decode(12, sds.encode(message))
    assert isinstance(again, sds.Text)
    assert again.text.rstrip("\r") == text


def test_gsm_septets_as_published():
    """`hellohello` packs to the octets of the textbook example (3GPP TS 23.038)."""
    assert gsm7.encode("hellohello").hex().upper() == "E8329BFD4697D9EC37"
    assert gsm7.decode(bytes.fromhex("E8329BFD4697D9EC37"), 72) == "hellohello"


def test_a_time_stamp_is_kept_and_skipped():
    """The 24 bits before the text are no text."""
    message = sds.Text(
        0x82, 1, "ok", sds.Header(0, standard_report_only=True, reference=7), stamp=TimeStamp(1, 11, 21, 23, 59)
    )
    assert sds.decode(12, sds.encode(message)) == message
    assert from_dict(as_dict(message)) == message


def test_store_and_forward_block_is_stepped_over():
    """Validity 5 bits, address type SSI, 24 bits, then the text as usual."""
    header = sds.Header(3, standard_report_only=True, reference=9, storage=Storage(3, 1, Bits(1234, 24)))
    message = sds.Text(0x82, 1, "stored", header)
    assert sds.decode(12, sds.encode(message)) == message
    assert from_dict(as_dict(message)) == message


def test_text_of_an_unknown_coding_is_marked_not_lost():
    """Letters stay, the rest becomes the replacement character."""
    message = sds.decode(12, from_hex("021B48FF69"))
    assert isinstance(message, sds.Text)
    assert message.text == "H�i"


def test_coding_for_text():
    """ISO 8859-1 where it is enough."""
    assert (coding_for("café"), coding_for("漢")) == (1, 26)
    assert encode_text(1, "é").hex() == "E9"


@pytest.mark.parametrize("wrong", [{}, {"kind": "nothing"}, {"kind": "text"}, {"kind": "status"}])
def test_objects_that_are_no_sds_are_wire_errors(wrong):
    """The encoder's input is checked."""
    with pytest.raises(WireError):
        from_dict(wrong)


@pytest.mark.parametrize(
    "message",
    [
        sds.Text(0x8A, 1, "one", sds.Header(1, False, 9), user_header=user_header(Part(0xC9, 2, 1))),
        sds.Text(
            0x8A, 26, "two", sds.Header(1, False, 9), TimeStamp(2, 4, 11, 10, 15), user_header(Part(700, 3, 2, True))
        ),
        sds.Text(0x02, 1, "flag", flag=True),
        sds.Text(0x82, 27, "V", sds.Header(0, False, 1), raw=Bits(0x56, 8)),
        sds.Text(0x82, 1, "x", sds.Header(0, False, 1, Storage(31, 3, Bits(3 << 16 | 0x1230, 24)))),
        sds.Text(0x82, 1, "x", sds.Header(0, False, 1, Storage(1, 7))),
        sds.Fragment(0x8C, Part(3, 2, 1), Bits(0xABCD, 16), 0x82, sds.Header(0, False, 0xB9)),
        sds.Fragment(0x8C, Part(0x345, 2, 2, True), Bits(0xABC, 12), None, sds.Header(0, False, 0xB9)),
        sds.Fragment(0x0C, Part(15, 255, 255), Bits(0, 0)),
        sds.Delivery(0x82, 0, 9, control=0b1001, rest=Bits(0x1234, 16)),
    ],
)
def test_every_kind_of_message_prints_and_reads_back(message):
    """Headers of parts, storage, flags: print, read, and JSON both ways."""
    assert sds.decode(12, sds.encode(message)) == message
    assert from_dict(json.loads(json.dumps(as_dict(message)))) == message


def test_a_user_data_header_of_other_elements_is_kept():
    """Unknown elements before the one that names the part; a header that names none."""
    whole = from_hex("8A000701" + "08" + "700142" + "0003C90201" + "48")
    message = sds.decode(12, whole)
    assert isinstance(message, sds.Text)
    assert message.user_header.part == Part(0xC9, 2, 1)
    assert (message.text, sds.encode(message)) == ("H", whole)
    bare = sds.decode(12, from_hex("8A000701" + "03" + "700142" + "48"))
    assert bare.user_header.part is None


@pytest.mark.parametrize(
    "cut", ["82", "8", "8210", "82100", "8A00070105", "8C000700", "8C000720FF01", "0C01", "820107011E"]
)
def test_cut_off_messages_are_wire_errors(cut):
    """Too short, or a PDU type of which nothing is known."""
    with pytest.raises(WireError):
        sds.decode(12, from_hex(cut))


def test_what_a_concatenated_sds_carries():
    """Text, LIP or anything, by the PID of its first part."""
    text = sds.decode_inner(0x82, None, from_hex("0148"))
    assert isinstance(text, sds.Text)
    assert text.text == "H"
    assert sds.decode_inner(0xC3, None, Bits(1, 8)) == sds.Other(0xC3, Bits(1, 8))
    assert isinstance(sds.decode_inner(0x0A, None, from_hex("30000000000007FFE810")), sds.Lip)


def test_a_text_that_no_scheme_can_print_is_a_wire_error():
    """`lapel encode sds` answers the line."""
    with pytest.raises(WireError, match="27"):
        sds.encode(sds.Text(0x02, 27, "x"))
