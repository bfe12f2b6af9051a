"""meshdiag runbook check: what leads nowhere is named with its line, and nothing of a page is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshdiag.cli import root
from meshdiag.commands._runbook_lines import read_line
from meshdiag.errors import UsageError
from tests.program import run

if TYPE_CHECKING:
    from pathlib import Path

BAD = """---
title: Everything is wrong
alerts: [HighConsensusLatncy]
checks: [nodes.upp]
---

# Everything
See [the other page](other.md#there), [this](wrong.md) and
[that](https://example.org/x.md); `meshdiag nodez` and `meshdiag lab faults`.

```meshdiag
meshdiag nodes --nope
meshdiag lab up
meshdiag health --only nodes.upp
meshdiag query 'up ==='
peers.cuont
meshdiag nodes ; rm -rf /
```

```promql
up
```

```promql
# expect: 1:
min(mesh_peer_cuont) + up + scrape_duration_seconds
```

~~~promql
# expect: 1:
up
~~~
"""


def test_our_own_pages_are_clean() -> None:
    """What ships is held to the same rules."""
    ran = run("runbook", "check")
    assert (ran.code, ran.stdout) == (0, ""), ran.stdout
    assert "nothing is wrong" in ran.stderr


def test_everything_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    """One line each, as compilers write them, in the order of the page."""
    (tmp_path / "other.md").write_text("---\ntitle: x\n---\n# X\n")
    page = tmp_path / "bad.md"
    page.write_text(BAD)
    ran = run("runbook", "check", str(page))
    assert ran.code == 1
    lines = [line.removeprefix(f"{page}:") for line in ran.stdout.splitlines()]
    for wanted, line in zip(
        [
            "3: no rule makes an alert 'HighConsensusLatncy'; did you mean HighConsensusLatency",
            "4: no check is called 'nodes.upp'; did you mean nodes.up",
            "8: the link to 'wrong.md' is dead",
            "9: meshdiag has no command 'nodez'; did you mean nodes",
            "12: No such option",
            "13: 'meshdiag lab up' is not one of the commands that only look",
            "14: no check is called 'nodes.upp'",
            "15: ",
            "16: no check is called 'peers.cuont'; did you mean peers.count",
            "17: No such option '-r'",
            "20: the step has no expectation",
            "24: no metric is called 'mesh_peer_cuont'; did you mean mesh_peer_count",
            "29: this block is never run",
        ],
        lines,
        strict=True,
    ):
        assert line.startswith(wanted), line
    assert "1 page: 13 wrong" in ran.stderr


def test_a_page_that_cannot_be_read_is_a_sentence_and_the_others_are_checked(tmp_path: Path) -> None:
    """Front matter of ten megabytes, tags of YAML, control characters: one line each, harmless."""
    (tmp_path / "big.md").write_text("---\ntitle: " + "x" * 10_000_000 + "\n---\n")
    (tmp_path / "tag.md").write_text("---\ntitle: !!python/object/apply:os.system ['touch hit']\n---\n")
    (tmp_path / "esc.md").write_text("---\ntitle: x\nchecks: [\x1b[2J\u202e]\n---\n")
    (tmp_path / "fine.md").write_text("---\ntitle: x\n---\n# X\n```meshdiag\nnodes.up\n```\n")
    ran = run("runbook", "check", str(tmp_path), cwd=tmp_path)
    assert ran.code == 1 and len(ran.stdout.splitlines()) == 3
    assert "\x1b" not in ran.stdout and "\u202e" not in ran.stdout
    assert not (tmp_path / "hit").exists()
    assert "4 pages: 3 wrong" in ran.stderr


def test_the_alerts_of_the_teams_own_rules_are_known(tmp_path: Path) -> None:
    """A page about an alert of the team's is right once the configuration names the rules."""
    (tmp_path / "rules.yml").write_text(
        "groups: [{name: a, rules: [{alert: DiskFull, expr: team_disk_free < 1}, {record: a:b, expr: up}]}]"
    )
    (tmp_path / "disk.md").write_text(
        "---\ntitle: x\nalerts: [DiskFull]\n---\n```promql\n# expect: 1:\nteam_disk_free + on() a:b\n```\n"
    )
    assert run("runbook", "check", "disk.md", cwd=tmp_path).code == 1
    (tmp_path / "meshdiag.toml").write_text('[contexts.a]\nrules = ["rules.yml"]\n')
    ran = run("runbook", "check", "disk.md", cwd=tmp_path)
    assert (ran.code, ran.stdout) == (0, "")


def test_a_place_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    """64, so that a pipeline with a typing slip does not pass; a folder without pages is one too."""
    assert run("runbook", "check", "no-such-page").code == 64
    ran = run("runbook", "check", str(tmp_path))
    assert ran.code == 64 and "there is no page" in ran.stderr


@pytest.mark.parametrize(
    "line",
    [
        "lab up",
        "config init",
        "config show",
        "completion bash",
        "demo",
        "runbook run node-down",
        "stack --send-test-alert",
        "stack --send-test",
        "memory --valgrind",
        "health --config meshdiag.toml",
        "health --context other",
        "nodes --prometheus-url http://127.0.0.1:1",
        "logs --source kubernetes --kube-context other",
    ],
)
def test_what_does_more_than_look_has_no_place_in_a_step(line: str, tmp_path: Path, monkeypatch) -> None:
    """Commands that change something, and flags that are for the reader to say, however they are abbreviated."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meshdiag.toml").write_text("")
    try:
        assert read_line(root, line.split()).never
    except UsageError:
        assert line in ("stack --send-test", "runbook run node-down")


@pytest.mark.parametrize("line", ["security --try-default-password", "peers --watch", "memory --watch 5s", "logs -f"])
def test_what_tries_or_never_ends_is_left_to_the_reader(line: str) -> None:
    """It may stand in a page, and is shown rather than run."""
    read = read_line(root, line.split())
    assert read.by_hand and not read.never


@pytest.mark.parametrize("line", ["nodes --help", "nodes -h", "--help", "", "--version", "_run", "nodes -vh"])
def test_help_is_no_step(line: str, capfd) -> None:
    """And reading it prints nothing."""
    with pytest.raises(UsageError):
        read_line(root, line.split())
    assert capfd.readouterr() == ("", "")
