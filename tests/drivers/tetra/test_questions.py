"""The questions by which a session finds its place again."""

import pytest

from drivers.tetra import dialects
from drivers.tetra.questions import Questions


def start(answered=2, turn=0):
    """Met, with so many questions known."""
    questions = Questions(turn)
    for _ in range(answered):
        question = questions.ask()
        questions.note(question.text)
        questions.named(question)
    for question in list(questions._untried):
        questions.refused(question)
    questions.settle()
    return questions


@pytest.mark.parametrize("turn", range(6))
def test_each_is_asked_once_in_an_order_that_turns(turn):
    """All four, then nothing: this radio answers none."""
    questions, asked = Questions(turn), []
    while (question := questions.ask()) is not None:
        asked.append(question.text)
        questions.note(question.text)
        questions.refused(question)
    assert sorted(asked) == sorted(dialects.MARKERS)
    assert asked[0] == Questions(turn + 4).ask().text


def test_two_answers_at_the_start_and_one_later():
    """The first may be owed to an older session."""
    questions = Questions()
    assert questions.named(questions.ask()) is False
    questions.note("AT+GMI?")
    assert questions.named(questions.ask()) is True
    questions.settle()
    assert questions.named(questions.ask()) is True


def test_one_that_is_owed_already_is_not_the_next():
    """The set-up had asked it and got no result."""
    questions = start()
    questions.note(questions.known[0].text)
    assert questions.ask() == questions.known[1]
    questions.settle()
    assert questions.ask() == questions.known[0]


def test_asked_twice_is_not_sure_and_never_asked_three_times():
    """Nobody can say then whose answer it is."""
    questions = start()
    said = []
    while (question := questions.ask()) is not None:
        questions.note(question.text)
        said.append((question.text, questions.named(question)))
    assert [text for text, _ in said] == [one.text for one in questions.known] * 2
    assert [sure for _, sure in said] == [True, True, None, None]


def test_a_refusal_is_forgotten_with_the_first_answer():
    """It may have been a stray error."""
    questions = Questions()
    question = questions.ask()
    questions.refused(question)
    assert not questions.is_known(question)
    questions.learn(question)
    assert questions.is_known(question)
    questions.refused(question)
    assert questions.is_known(question)
