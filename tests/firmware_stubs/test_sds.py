"""Texts, statuses and reports as the reference's vectors have them."""

from firmware_stubs.sds import (
    CONSUMED,
    RECEIVED,
    delivery_report,
    emergency,
    short_delivery_report,
    simple_text,
    status,
    transfer_text,
)


def test_texts():
    """Simple and transfer texts of the reference."""
    assert simple_text(1, "testmessage").hexadecimal == "0201746573746D657373616765"
    text = transfer_text(1, "Gjatjajgja", 8, wants_report=True)
    assert (text.hexadecimal, text.bits) == ("82040801476A61746A616A676A61", 112)


def test_statuses():
    """Sixteen bits, service 13."""
    assert (status(7, 0x8003).hexadecimal, status(7, 0x8003).service, status(7, 0x8003).bits) == ("8003", 13, 16)
    assert emergency(7).hexadecimal == "0000"


def test_delivery_reports():
    """The standard form of a report, and the short form as a status."""
    assert delivery_report(1, 0xC9, RECEIVED).hexadecimal == "821000C9"
    assert short_delivery_report(1, 0xCA, RECEIVED).hexadecimal == "7ECA"
    assert short_delivery_report(1, 0xCA, CONSUMED).hexadecimal == "7FCA"
