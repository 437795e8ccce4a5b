"""Deadlines: time left, expiry, clients that have gone, and the deadline of several requests."""

from __future__ import annotations

import math

import pytest

from serving.request.deadline import NO_DEADLINE, Deadline
from serving.request.status import StatusError


def test_the_time_left_is_in_milliseconds() -> None:
    assert 500_000 < Deadline(600).remaining_milliseconds() <= 600_000


def test_a_deadline_without_an_end_has_0_milliseconds_left_and_never_passes() -> None:
    assert NO_DEADLINE.remaining_milliseconds() == 0
    assert not NO_DEADLINE.has_passed()
    assert Deadline(math.inf).remaining_milliseconds() == 0


def test_a_far_deadline_fits_into_the_31_bits_of_run_options() -> None:
    assert Deadline(1e9).remaining_milliseconds() == 2**31 - 1


def test_a_deadline_that_has_passed_is_exceeded() -> None:
    deadline = Deadline(0)
    assert deadline.has_passed()
    with pytest.raises(StatusError, match=r"^DEADLINE_EXCEEDED: Deadline Exceeded$"):
        deadline.remaining_milliseconds()


def test_a_request_whose_client_has_gone_is_canceled() -> None:
    with pytest.raises(StatusError, match=r"^CANCELLED: "):
        Deadline(600, is_awaited=lambda: False).check()


def test_the_deadline_of_several_requests_is_their_latest_whoever_waits() -> None:
    gone = Deadline(900, is_awaited=lambda: False)
    assert 800_000 < Deadline.latest([Deadline(600), gone]).remaining_milliseconds() <= 900_000
    assert Deadline.latest([Deadline(600), NO_DEADLINE]).remaining_milliseconds() == 0
