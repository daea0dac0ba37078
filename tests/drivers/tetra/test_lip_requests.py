"""Requests to a terminal: bits as recorded on the air, and each reads back."""

import pytest

from drivers.tetra import lip, lip_json
from drivers.tetra import lip_requests as requests
from drivers.tetra.bits import from_hex


def test_a_short_report_now_is_what_others_send():
    """0A4580 and 0A4500, as recorded clients send them."""
    assert requests.as_sds(requests.immediate_request()).hex() == "0A4580"
    assert requests.as_sds(requests.immediate_request(requests.LONG_WITH_TIME)).hex() == "0A4500"


def test_an_acknowledgement_is_sixteen_bits():
    """5000."""
    assert lip.encode(requests.acknowledgement()).hex() == "5000"


@pytest.mark.parametrize(
    ("pdu", "name"),
    [
        (requests.immediate_request(), "immediate_location_report_request"),
        (requests.basic_parameters(3), "basic_location_parameters"),
        (requests.interval_trigger(60), "add_modify_trigger"),
        (requests.remove_interval(), "remove_trigger"),
        (requests.enable(on=True), "location_reporting_enable_disable"),
        (requests.enable(on=False, answer=False), "location_reporting_enable_disable"),
        (requests.acknowledgement(), "location_report_acknowledgement"),
    ],
)
def test_each_reads_back_as_what_it_is(pdu, name):
    """Whole octets on the wire; fields and elements as they were put in."""
    bits = requests.as_sds(pdu)
    assert bits.length % 8 == 0
    read = lip.decode(lip.strip_pid(from_hex(bits.hex())))
    assert (read.pdu, read.fields, read.elements) == (name, pdu.fields, pdu.elements)
    assert lip_json.as_dict(read)["pdu"] == name


def test_the_trigger_names_its_interval():
    """A recurring trigger of 129, longest interval, with its parameter."""
    (element,) = lip_json.as_dict(requests.interval_trigger(90))["elements"]
    assert (element["trigger"], element["recurring"], element["parameter"]) == (129, 1, 2)


def test_intervals_grow_and_go_back():
    """30 s steps to 10 min, then minutes, ten minutes, half hours; every code is its own inverse."""
    seconds = [requests.interval_s(code) for code in range(128)]
    assert seconds == sorted(set(seconds))
    assert (seconds[0], seconds[19], seconds[20], seconds[39], seconds[40]) == (30, 600, 660, 1800, 2400)
    assert [requests.interval_code(each) for each in seconds] == list(range(128))
    assert (requests.interval_code(1), requests.interval_code(89)) == (0, 1)
