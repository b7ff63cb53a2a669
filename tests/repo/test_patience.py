"""What the settings of all tests are to let pass."""

import time

from hypothesis import given
from hypothesis import strategies as st

held_up = [0.3]
"""Seconds: more than the deadline that Hypothesis has for an example unless told."""


@given(st.booleans())
def test_an_example_that_was_held_up_once_is_no_failure(example: bool) -> None:
    assert example in (False, True)
    if held_up:
        time.sleep(held_up.pop())
