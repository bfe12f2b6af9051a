"""meshdiag runbook new: a page that is right from the start, and no file of anybody's is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.program import run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_page_is_clean_and_can_be_run(tmp_path: Path) -> None:
    """What is begun passes the check, and its steps of all three kinds answer something."""
    ran = run("runbook", "new", "disk-full", cwd=tmp_path)
    assert ran.code == 0 and "disk-full.md" in ran.stdout
    assert run("runbook", "check", "disk-full.md", cwd=tmp_path).code == 0
    (tmp_path / "meshdiag.toml").write_text('[contexts.a]\nlogs = ["app.log"]\nprometheus = "http://127.0.0.1:1"\n')
    (tmp_path / "app.log").write_text("2026-01-01T00:00:00Z ERROR old\n")
    ran = run("runbook", "run", "disk-full.md", "--gap", "0", "-o", "json", cwd=tmp_path)
    checks = ran.report["checks"]
    assert [one["title"] for one in checks][1:3] == [
        "meshdiag health --only nodes.up --only peers.count",
        "meshdiag logs --level error --since 15m --tail 20",
    ]
    assert (checks[2]["verdict"], checks[2]["summary"]) == ("pass", "0 lines")
    assert not [one for one in checks if one["summary"].startswith("not run") and one["verdict"] == "unknown"]


def test_a_logs_step_keeps_its_lines_up_to_its_limit(tmp_path: Path) -> None:
    """The record holds what was read, and no more than the page allows."""
    lines = "".join(f"2026-01-01T00:00:0{n}Z ERROR number {n}\n" for n in range(9))
    (tmp_path / "app.log").write_text(lines + "2026-01-01T00:01:00Z INFO fine\n")
    (tmp_path / "a.md").write_text("---\ntitle: x\n---\n```logs\n# limit: 2\napp.log --level error\n```\n")
    ran = run("runbook", "run", "a.md", "-o", "md", cwd=tmp_path)
    assert ran.code == 0 and "2 lines" in ran.stdout
    assert "number 8" in ran.stdout and "number 7" in ran.stdout and "number 6" not in ran.stdout


@pytest.mark.parametrize("name", ["../x", "A", "a/b", "", "a b", "x" * 300, "\x1b"])
def test_a_name_that_is_none_writes_nothing(tmp_path: Path, name: str) -> None:
    """Nor one that would leave the folder."""
    ran = run("runbook", "new", name, cwd=tmp_path)
    assert ran.code == 64 and not list(tmp_path.iterdir()) and "\x1b" not in ran.stderr


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there stays as it is; a link is not followed."""
    (tmp_path / "a.md").write_text("mine")
    (tmp_path / "b.md").symlink_to(tmp_path / "target")
    for name in ("a", "b"):
        ran = run("runbook", "new", name, cwd=tmp_path)
        assert ran.code == 64 and "is there already" in ran.stderr
    assert (tmp_path / "a.md").read_text() == "mine" and not (tmp_path / "target").exists()
