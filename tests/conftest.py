"""What several kinds of test share: labs that run for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background


@pytest.fixture(scope="session")
def healthy_lab() -> Iterator[Lab]:
    """A healthy mesh of seven nodes, no servers beside it."""
    with lab_in_background(LabOptions(nodes=7)) as lab:
        yield lab


@pytest.fixture(scope="session")
def slow_lab() -> Iterator[Lab]:
    """A mesh of seven nodes with one slow link."""
    with lab_in_background(LabOptions(nodes=7, faults=("slow-consensus",))) as lab:
        yield lab
