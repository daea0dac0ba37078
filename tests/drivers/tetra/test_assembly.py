"""Messages in parts: any order, doubles, gaps, bounds."""

import itertools

import pytest

from drivers.tetra import sds
from drivers.tetra.assembly import GAP, MOST_PENDING, Assembler, part_of
from drivers.tetra.bits import Bits, from_hex
from drivers.tetra.sds_parts import Part, user_header

HEADER = sds.Header(0, standard_report_only=False, reference=1)


def piece(number, text, total=3, reference=7):
    """One part of a text."""
    return sds.Text(0x8A, 1, text, HEADER, user_header=user_header(Part(reference, total, number)))


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_parts_in_any_order_make_one_text(order):
    """And nothing before the last has come."""
    words, assembler = {1: "shots ", 2: "fired ", 3: "here"}, Assembler()
    found = [whole for number in order for whole in assembler.take("7", piece(number, words[number]), 1.0)]
    (whole,) = found
    assert (whole.message.text, whole.missing, whole.caller) == ("shots fired here", 0, "7")
    assert assembler.pending == 0


def test_a_part_that_comes_twice_counts_once():
    """Some makes send each SDS four times."""
    assembler = Assembler()
    assert not assembler.take("7", piece(1, "a"), 1.0)
    assert not assembler.take("7", piece(1, "a"), 2.0)
    assert assembler.pending == 1


def test_two_callers_with_one_reference_are_two_messages():
    """The reference is the caller's own."""
    assembler = Assembler()
    assembler.take("7", piece(1, "a", 2), 1.0)
    assert not assembler.take("8", piece(2, "b", 2), 1.0)
    assert assembler.pending == 2


def test_what_is_not_complete_in_time_comes_with_its_gaps_marked():
    """Half a call for help is better than none."""
    assembler = Assembler(patience_s=10)
    assembler.take("7", piece(1, "help "), 1.0)
    assembler.take("7", piece(3, "bridge"), 5.0)
    assert assembler.deadline() == 15.0
    assert not assembler.overdue(14.9)
    (whole,) = assembler.overdue(15.0)
    assert (whole.message.text, whole.missing) == (f"help {GAP}bridge", 1)
    assert assembler.deadline() == float("inf")


def test_a_reference_used_anew_ends_the_older_message():
    """Another text in the place of part 1: the old one comes out as far as it came."""
    assembler = Assembler()
    assembler.take("7", piece(1, "old"), 1.0)
    (whole,) = assembler.take("7", piece(1, "new"), 2.0)
    assert whole.message.text == f"old{GAP}{GAP}"
    assert assembler.pending == 1


def test_the_number_of_messages_under_way_is_bounded():
    """The oldest gives way, and is not lost."""
    assembler = Assembler()
    over = [
        whole
        for number in range(MOST_PENDING + 5)
        for whole in assembler.take("7", piece(1, str(number), reference=number), 1.0)
    ]
    assert [whole.message.text[0] for whole in over] == list("01234")
    assert assembler.pending == MOST_PENDING


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 0), (1, 200)])
def test_parts_that_cannot_be_are_messages_of_their_own(number, total):
    """What they say is not held back."""
    odd = piece(number, "x", total)
    assert part_of(odd) is None
    assert Assembler().take("7", odd, 1.0)[0].message == odd


def test_a_concatenated_sds_is_read_as_what_it_carries():
    """Text by the PID in part 1; with a part missing only its bits are kept."""
    first = sds.Fragment(0x8C, Part(3, 2, 1), from_hex("0148"), 0x82, HEADER)
    second = sds.Fragment(0x8C, Part(3, 2, 2), from_hex("69"), None, HEADER)
    assembler = Assembler(10)
    assembler.take("7", first, 1.0)
    (whole,) = assembler.take("7", second, 1.0)
    assert whole.message.text == "Hi"
    assembler.take("7", second, 1.0)
    assert assembler.overdue(99.0)[0].message == sds.Other(0x8C, Bits(0x69, 8))
    cut = Assembler()
    cut.take("7", sds.Fragment(0x8C, Part(4, 2, 1), Bits(0, 0), 0x82), 1.0)
    assert cut.take("7", sds.Fragment(0x8C, Part(4, 2, 2), Bits(0, 0)), 1.0)[0].message == sds.Other(0x82, Bits(0, 0))


def test_a_whole_message_is_no_part():
    """Statuses and plain texts."""
    assert part_of(sds.Status(1)) is None
    assert part_of(sds.Text(0x82, 1, "x", HEADER)) is None
