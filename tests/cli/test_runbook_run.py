"""meshdiag runbook run: the steps of a page give the verdicts of now, and nothing else of it is ever run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshdiag.runbook import library
from meshdiag.runbook.linting import metrics_in
from meshdiag.runbook.steps import sections, steps
from tests.program import run
from tests.terminal import on_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.lab import Lab

HEAD = "---\ntitle: A page\nowner: us\n---\n"
NOWHERE = ("--prometheus-url", "http://127.0.0.1:1", "--gap", "0", "--deadline", "10s")


def page(folder: Path, text: str) -> str:
    """A page with this text, which begins at line 5."""
    (folder / "page.md").write_text(HEAD + text)
    return str(folder / "page.md")


def test_a_healthy_mesh_passes_its_page(healthy_lab: Lab) -> None:
    """Commands, checks and expressions are asked of the same mesh with the same flags; the worst verdict is the
    run's and its exit code."""
    ran = run("runbook", "run", "node-down", "--direct", "-o", "json", environment=healthy_lab.environment)
    report = ran.report
    assert (ran.code, report["verdict"]) == (0, "pass"), [(one["title"], one["summary"]) for one in report["checks"]]
    assert report["command"] == "runbook run node-down"
    assert [one["title"] for one in report["checks"]] == [
        "meshdiag nodes",
        "meshdiag nodes --direct",
        "meshdiag health --only 'nodes.*' --explain",
        "meshdiag health --only 'nodes.*' --since 10m",
        'min(up{job="agent-mesh"})',
    ]
    assert all(one["evidence"] for one in report["checks"])


def test_conditions_choose_by_the_worst_verdict_so_far(healthy_lab: Lab, tmp_path: Path) -> None:
    """What is for a failure is left out while all is well, and run once something failed."""
    promql = "```promql{}\n# expect: {}\nmin(up)\n```\n"
    text = (
        "# One\n" + promql.format("", "1:") + promql.format(" when: fail", "1:") + promql.format("", "2:")
        + "# Two\n<!-- when: fail -->\n" + promql.format("", "~:1") + "# Three\n<!-- when: pass -->\n"
        + promql.format("", "1:") + "```promql\n# expect: 1:\n# for: 5m\nup\n```\n"
    )  # fmt: skip
    ran = run(
        "runbook", "run", page(tmp_path, text), "--direct", "--gap", "0", "-o", "json",
        environment=healthy_lab.environment,
    )  # fmt: skip
    assert [one["verdict"] for one in ran.report["checks"]] == ["pass", "skip", "fail", "pass", "skip", "skip"]
    assert ran.code == 2
    assert "only when fail, and the worst so far is pass" in ran.report["checks"][1]["summary"]
    assert ran.report["checks"][4]["summary"] == "not run: only when pass"


@pytest.mark.parametrize(
    ("block", "verdict", "says"),
    [
        ("```meshdiag\nmeshdiag nodes ; touch hit\n```", "unknown", "not run: Got unexpected extra argument"),
        ("```meshdiag\nmeshdiag nodes $(touch hit)\n```", "unknown", "not run: "),
        ("```meshdiag\ntouch hit\n```", "unknown", "no check is called 'touch'"),
        ("```meshdiag\nmeshdiag lab run -- touch hit\n```", "unknown", "is not one of the commands that only look"),
        ("```meshdiag\nmeshdiag config init --path hit\n```", "unknown", "is not one of the commands"),
        ("```meshdiag\nmeshdiag health --config evil.toml\n```", "unknown", "--config is for the reader to say"),
        ("```meshdiag\nmeshdiag stack --send-test-alert\n```", "unknown", "does more than look"),
        ("```meshdiag\nmeshdiag security --try-default-password\n```", "skip", "left to you"),
        ("```meshdiag\nmeshdiag logs -f\n```", "skip", "left to you"),
        ("```meshdiag\n\x1b]0;hit\x07\u202enodes.up\n```", "unknown", "no check is called"),
        ("```meshdiag\nmeshdiag nodes\n", "unknown", "never closed"),
        ("```promql\n# expect: 1:\n$(touch hit)\n```", "unknown", ""),
    ],
)
def test_a_hostile_step_runs_nothing_and_costs_a_sentence(tmp_path: Path, block: str, verdict: str, says: str) -> None:
    """Shell words mean nothing, what does more than look is refused, and the rest of the page goes on."""
    (tmp_path / "evil.toml").write_text('[contexts.a.prometheus]\nurl = "http://x"\npassword_command = "touch hit"\n')
    ran = run("runbook", "run", page(tmp_path, block), *NOWHERE, "-o", "json", cwd=tmp_path)
    (result,) = ran.report["checks"]
    assert result["verdict"] == verdict and says in result["summary"]
    assert ran.code == 3
    assert not (tmp_path / "hit").exists()
    assert "\x1b" not in ran.stdout


def test_other_blocks_are_shown_and_never_run(tmp_path: Path) -> None:
    """Shell blocks, nested fences, tildes: text. A page without steps has looked at nothing: unknown."""
    text = (
        "# A\n```sh\ntouch hit\n```\n````md\n```meshdiag\nmeshdiag nodes\n```\n````\n"
        "~~~meshdiag\nmeshdiag nodes\n~~~\n\x1b[2J\n"
    )
    ran = run("runbook", "run", page(tmp_path, text), cwd=tmp_path)
    assert "touch hit" in ran.stdout and "\x1b" not in ran.stdout
    assert ran.code == 3 and not (tmp_path / "hit").exists()


@pytest.mark.parametrize(
    "raw", [b"---\ntitle: " + b"x" * 10_000_000, b"---\ntitle: !!python/object/apply:os.system [x]\n---\n", b"\xff\xfe"]
)
def test_a_file_that_is_no_page_is_one_sentence(tmp_path: Path, raw: bytes) -> None:
    """Ten megabytes of front matter, tags of YAML, bytes."""
    (tmp_path / "page.md").write_bytes(raw)
    ran = run("runbook", "run", "page.md", cwd=tmp_path)
    assert ran.code == 64 and ran.stdout == "" and len(ran.stderr.splitlines()) <= 2


def test_a_module_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    """A page is often read where somebody else's files lie."""
    (tmp_path / "json.py").write_text("import pathlib; pathlib.Path('hit').touch()")
    text = "```meshdiag\nmeshdiag checks nodes.up\n```\n"
    plain = tmp_path / "elsewhere"
    plain.mkdir()
    ran = run("runbook", "run", page(plain, text), "-o", "json", cwd=plain)
    assert ran.report["checks"][0]["verdict"] == "pass"
    from meshdiag.commands import _runbook_children as children

    with (
        (tmp_path / "out").open("w+b") as out,
        (tmp_path / "err").open("w+b") as err,
        pytest.MonkeyPatch.context() as at,
    ):
        at.chdir(tmp_path)
        assert children._run([*children.PROGRAM, "checks", "-o", "json"], out, err, 30) == 0
    assert not (tmp_path / "hit").exists()


def test_a_step_has_an_end(tmp_path: Path) -> None:
    """What does not answer is stopped, with all that it started, and is unknown."""
    from meshdiag.commands import _runbook_children as children

    with (tmp_path / "out").open("w+b") as out, (tmp_path / "err").open("w+b") as err:
        assert children._run(["sleep", "60"], out, err, 0.2) is None


def test_the_record_holds_times_and_evidence_and_cannot_be_forged(healthy_lab: Lab, tmp_path: Path) -> None:
    """-o md is a document for the incident: whatever a server says is text in it."""
    text = (
        '# Look\nprose\n```promql\n# expect: 2:\nlabel_replace(max(up), "instance", "](http://x)<b>`|", "", "")\n```\n'
        "```meshdiag\nnodes.up\n```\n## Later\n<!-- when: pass -->\nnever\n"
    )
    ran = run(
        "runbook", "run", page(tmp_path, text), "--direct", "--gap", "0", "-o", "md",
        environment=healthy_lab.environment,
    )  # fmt: skip
    lines = ran.stdout.splitlines()
    assert ran.code == 2 and lines[0] == "# A page: FAIL"
    assert "- runbook: `page`, owner us" in lines and "prose" in lines and "never" not in lines
    assert any(line.startswith("**FAIL** at 20") for line in lines)
    assert "meshdiag health --only nodes.up" in lines
    assert any(line.startswith("Evidence, ") for line in lines)
    assert "\\](http://x)\\<b\\>\\`\\|" in ran.stdout
    assert "Left out: only when pass." in lines


def test_on_a_terminal_it_pauses_and_stops_at_ctrl_c(tmp_path: Path) -> None:
    """With --pause the reader sets the pace; Ctrl-C ends it with what there is, and says so by its exit code."""
    step = "```meshdiag\nmeshdiag checks nodes.up\n```\n"
    path = page(tmp_path, f"# First\n{step}# Second\n{step}")
    shown = on_terminal("runbook", "run", path, "--pause", interrupt_s=4)
    assert shown.code == 130
    assert "First" in shown.output and "any key" in shown.output and "Second" not in shown.output
    assert "PASS" in shown.output
    assert run("runbook", "run", path, "--pause").code == 64


def test_ctrl_c_stops_a_step_that_runs(healthy_lab: Lab, tmp_path: Path) -> None:
    """The program that answers it is stopped as well, and what was seen before is told."""
    text = "```meshdiag\nmeshdiag checks nodes.up\nmeshdiag query --direct up --range 25s\n```\n"
    shown = on_terminal(
        "runbook", "run", page(tmp_path, text), environment=healthy_lab.environment, interrupt_s=3, timeout=15
    )
    assert shown.code == 130
    assert "PASS" in shown.output and "1 pass" in shown.output


@pytest.mark.parametrize("name", library.names())
def test_every_step_of_our_pages_can_be_run_or_says_why_not(name: str) -> None:
    """No page of ours holds a line that run refuses."""
    from meshdiag.cli import root
    from meshdiag.commands._runbook_lines import read_line

    for step in steps(sections(library.read(name))):
        assert not any(read_line(root, line.typed).never for line in step.lines)
        assert not step.expression or metrics_in(step.expression)
