"""meshdiag runbook: every page is found by its name, its checks and its alerts, offline."""

from __future__ import annotations

import pytest

from meshdiag.checks import all_checks
from meshdiag.errors import UsageError
from meshdiag.runbook import library
from tests.program import run


def test_every_check_and_alert_leads_to_its_page() -> None:
    """What a failing check names can be read; a page found by a check is the one that the check names."""
    for check in all_checks().values():
        assert library.find(check.id).name == check.runbook
    assert library.find("HighConsensusLatency").name == "slow-consensus"


def test_an_unknown_word_is_one_sentence_with_what_was_meant() -> None:
    """The nearest name, whatever kind it is."""
    with pytest.raises(UsageError, match="no runbook, check or alert") as caught:
        library.find("slow-consenus")
    assert "slow-consensus" in caught.value.hint
    ran = run("runbook", "show", "HighConsensusLatncy")
    assert ran.code == 64 and "HighConsensusLatency" in ran.stderr


def test_a_pipe_gets_the_markdown_as_it_stands() -> None:
    """So that it can be searched, or set by another program."""
    ran = run("runbook", "show", "consensus.round-duration")
    assert ran.code == 0 and ran.stdout.startswith("# Consensus is slow")
    assert "```meshdiag" in ran.stdout and "\x1b" not in ran.stdout


def test_the_list_names_every_page() -> None:
    """With the alerts that it answers."""
    ran = run("runbook", "list", environment={"COLUMNS": "140"})
    assert ran.code == 0 and all(name in ran.stdout for name in library.names())
    assert "HighConsensusLatency" in ran.stdout
