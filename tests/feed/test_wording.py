"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.time import from_rfc3339, rfc3339
from gateway.feed.wording import time_text

moments = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@settings(derandomize=True)
@given(moments.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)))
def test_it_prints_as_the_domain_does(moment) -> None:
    """To the millisecond, and back."""
    assert time_text(moment.timestamp()) == rfc3339(moment)
    assert from_rfc3339(time_text(moment.timestamp())) == moment


def test_rounding_carries() -> None:
    """0.9996 s is the next second, not `.1000`."""
    assert time_text(0.9996) == "1970-01-01T00:00:01Z"


def test_a_clock_that_was_never_set_can_be_read_back() -> None:
    """Year 1 has four digits too: an emergency of that time is found again after a restart."""
    moment = datetime(1, 1, 1, 0, 0, 0, tzinfo=UTC)
    assert rfc3339(moment) == "0001-01-01T00:00:00Z"
    assert from_rfc3339(rfc3339(moment)) == from_rfc3339(time_text(moment.timestamp())) == moment
