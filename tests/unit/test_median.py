"""The median of the checks is the one that everybody means."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.checks.readings.middle import median, median_high


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_both_medians_are_those_of_the_standard_library(values):
    """Odd and even numbers of values, repeated ones, any order."""
    assert median(values) == statistics.median(values)
    assert median_high(iter(values)) == statistics.median_high(values)


@pytest.mark.parametrize("function", [median, median_high])
def test_nothing_has_no_median(function):
    """An empty fleet is an error of the caller, not a zero."""
    with pytest.raises(ValueError, match="nothing"):
        function([])
