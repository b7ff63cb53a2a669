"""Numbers add up whoever counted them, and percentiles are right to a tenth."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaxel_jobs.core.tallies import BOUNDS, FIRST, MOST, Distribution, Numbers, add_duration, bucket_end, bucket_of, total

CENTURY = 100 * 365 * 86400.0
durations = st.lists(st.floats(0.0, CENTURY) | st.floats(0.0, 10.0), min_size=1, max_size=300)


def counted(seconds: list[float]) -> Numbers:
    numbers: Numbers = {}
    for each in seconds:
        add_duration(numbers, "run", each)
    return numbers


@given(durations)
def test_s3_10_percentiles_are_right_to_a_tenth(seconds: list[float]) -> None:
    distribution = Distribution.of(counted(seconds), "run")
    assert distribution.count == len(seconds)
    assert distribution.sum == pytest.approx(sum(seconds))
    in_order = sorted(seconds)
    for percent in (1, 50, 95, 99, 100):
        exact = in_order[math.ceil(percent * len(seconds) / 100) - 1]
        assert distribution.percentile(percent / 100) == pytest.approx(exact, rel=0.1, abs=FIRST)


@given(durations)
def test_s3_12_bounds_are_exact(seconds: list[float]) -> None:
    seconds = [*seconds, *BOUNDS]
    distribution = Distribution.of(counted(seconds), "run")
    assert distribution.up_to(BOUNDS) == [sum(each <= bound for each in seconds) for bound in BOUNDS]


@given(st.lists(durations, max_size=5))
def test_it_does_not_matter_who_counted(parts: list[list[float]]) -> None:
    together = Distribution.of(total(map(counted, parts)), "run")
    at_once = Distribution.of(counted([each for part in parts for each in part]), "run")
    assert together.buckets == at_once.buckets
    assert together.sum == pytest.approx(at_once.sum)


@given(st.integers(0, MOST))
def test_a_bucket_ends_where_the_next_begins(bucket: int) -> None:
    end = bucket_end(bucket)
    assert bucket_of(end * (1 - 1e-9)) == bucket
    assert bucket_of(end * (1 + 1e-9)) == min(MOST, bucket + 1)


def test_durations_at_the_edges() -> None:
    """Clocks that were set make negative ones; whatever is too long for the last bucket is in it."""
    for seconds, bucket in ((-5.0, 0), (0.0, 0), (FIRST, 0), (1e300, MOST)):
        assert bucket_of(seconds) == bucket
    assert Distribution.of(counted([-5.0, 2.0]), "run").sum == 2.0


def test_kinds_are_apart_and_nothing_is_nothing() -> None:
    numbers = counted([1.0]) | {"created": 7.0, "wait.sum": 0.0}
    assert Distribution.of(numbers, "wait") == Distribution(0, 0.0, ())
    assert Distribution.of({}, "run").percentile(0.5) == 0.0
    assert Distribution.of({}, "run").up_to(BOUNDS) == [0] * len(BOUNDS)
