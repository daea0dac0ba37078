"""What a radio says of itself, kept."""

import pytest

from drivers.tetra.radio_state import RadioState


def told(*lines):
    """A state after these lines at second 100."""
    state = RadioState(call_limit_s=60)
    for line in lines:
        name, _, text = line.partition(":")
        state.take(name, text.strip(), 100.0)
    return state


def test_all_that_a_radio_tells():
    """Each line of the reference, as a figure of health."""
    state = told(
        "+GMI: MOTOROLA",
        "+GMM: 54009,M83PFT6TZ6AG,91.2.0.0",
        "+GMR: R27.220.9063",
        "+CNUMF: 6,09011638300023401",
        "+CREG: 1,1,90109999",
        "+CTOM: 0",
        "+CSQ: 30,99",
        "+CBC: 0,71",
        "+CTGS: 1,09011638300000001",
    )
    assert state.figures() == {
        "registration": 1,
        "mode": 0,
        "signal_dbm": -53,
        "battery_pct": 71,
        "own_issi": 23401,
        "talkgroup": 1,
    }
    assert (state.make, state.revision, state.registered, state.direct) == ("MOTOROLA", "R27.220.9063", True, False)
    assert state.problem() == ""


def test_unknown_is_no_figure():
    """Signal 99, registration 4, and nothing said."""
    state = told("+CSQ: 30,99", "+CSQ: 99,99", "+CREG: 4")
    assert state.figures() == {"registration": 4}
    assert state.registered is None
    assert told().figures() == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [("+CREG: 0", "searching"), ("+CREG: 3,1,2", "rejected"), ("+CREG: 9", "(9)"), ("+CTOM: 1", "direct")],
)
def test_problems_in_words(line, said):
    """What stands in the way."""
    assert said in told(line).problem()


@pytest.mark.parametrize(
    "line", ["+CREG:", "+CREG: x", "+CTOM: -1", "+CSQ: ²", "+CTGS: 1", "+CBC: 1", "+CTCR:", "+CNUMF:"]
)
def test_nonsense_changes_nothing(line):
    """And raises nothing."""
    assert told(line).figures() == {}


def test_a_call_lasts_until_its_release():
    """Each by its instance; a lost release is over after the limit."""
    call = "+CTICN: 1,0,0,5,7,1,1,0,1,1,5,9,0"
    assert told(call).busy_until() == 160.0
    assert told(call, "+CTCR: 2,13").busy_until() == 160.0
    assert told(call, "+CTCR: 1,13").busy_until() == 0.0
    assert told(call, "+CTICN: 1,4,0,5,7,1,1,0,1,1,5,9,0").busy_until() == 0.0
    assert told("+CTXG: 2,3,0,0,0,6101629").busy_until() == 160.0
    state = told(call)
    state.forget_calls()
    assert state.busy_until() == 0.0


def test_calls_are_bounded():
    """A radio gone mad fills no memory."""
    state = told(*(f"+CTXG: {number},3" for number in range(1000)))
    assert len(state._calls) == 16


def test_groups_selected_and_scanned_are_told() -> None:
    """One is selected at a time; 0 is a group left."""
    state = RadioState()
    assert state.groups() == ()
    for text in ("1,09011638300000001", "2,09011638300000002", "7,00000003", "0,00000003", "8,00000009", "x,1"):
        state.take("+CTGS", text, 0.0)
    assert state.groups() == (1, 2)
    state.take("+CTGS", "1,00000005", 0.0)
    assert state.groups() == (2, 5)


def test_a_group_not_named_again_is_forgotten() -> None:
    """With the second question: the first one's answer has to come."""
    state = RadioState()
    state.take("+CTGS", "1,00000001", 0.0)
    state.take("+CTGS", "2,00000002", 0.0)
    state.asked("AT+CTGS?")
    state.take("+CTGS", "1,00000001", 0.0)
    assert state.groups() == (1, 2)
    state.asked("AT+CREG?")
    assert state.groups() == (1, 2)
    state.asked("AT+CTGS?")
    assert state.groups() == (1,)
