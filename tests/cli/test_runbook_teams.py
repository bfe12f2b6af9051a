"""Folders of a team's own runbooks: they come first, and can only add pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshdiag.runbook import library
from tests.program import run

if TYPE_CHECKING:
    from pathlib import Path

OURS = "---\ntitle: Ours\nalerts: [MeshNodeDown]\n---\n# Ours\n```meshdiag\nmeshdiag checks nodes.up\n```\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a configuration and two pages, one of them named as a shipped one."""
    (tmp_path / "meshdiag.toml").write_text('[contexts.a]\nrunbook_paths = ["books"]\n')
    (tmp_path / "books").mkdir()
    for name in ("node-down", "ours"):
        (tmp_path / "books" / f"{name}.md").write_text(OURS)
    return tmp_path


def test_a_page_of_the_teams_stands_in_for_ours(project: Path) -> None:
    """By its name, by the alert that it answers, in show, run, check and list."""
    for word in ("node-down", "MeshNodeDown", "ours"):
        assert run("runbook", "show", word, cwd=project).stdout.startswith("# Ours")
    ran = run("runbook", "run", "node-down", "-o", "json", cwd=project)
    assert (ran.code, [one["title"] for one in ran.report["checks"]]) == (0, ["meshdiag checks nodes.up"])
    assert run("runbook", "show", "slow-consensus", cwd=project).stdout.startswith("# Consensus is slow")
    listed = run("runbook", "list", cwd=project).stdout
    assert "Ours" in listed and "Consensus is slow" in listed
    checked = run("runbook", "check", cwd=project)
    assert checked.code == 0 and f"{len(library.names()) + 1} pages" in checked.stderr
    shown = run("config", "show", cwd=project).stdout
    assert "runbook_paths" in shown and str(project / "books") in shown


def test_a_broken_page_hides_no_other(project: Path) -> None:
    """An alert is answered by the pages that can be read; check names the one that cannot."""
    (project / "books" / "aaa.md").write_text("no front matter")
    assert run("runbook", "show", "HighConsensusLatency", cwd=project).code == 0
    ran = run("runbook", "check", cwd=project)
    assert ran.code == 1 and "aaa.md, line 1" in ran.stdout
    assert run("runbook", "show", "aaa", cwd=project).code == 64


@pytest.mark.parametrize("toml", ['[contexts.a]\nrunbook_paths = ["none"]\n', "[contexts.a]\nrunbok_paths = 1\n", "="])
def test_a_wrong_configuration_keeps_nobody_from_the_shipped_pages(project: Path, toml: str) -> None:
    """At three in the morning the page is what matters; what is wrong is said beside it."""
    (project / "meshdiag.toml").write_text(toml)
    ran = run("runbook", "show", "node-down", cwd=project)
    assert ran.code == 0 and ran.stdout.startswith("# A node is down")
    assert len(ran.stderr.splitlines()) == 1
