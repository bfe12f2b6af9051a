"""``meshdiag alerts`` without Prometheus: the whole program over a simulated mesh's pages."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdiag.lab import Lab, LabOptions
from meshdiag.lab.background import lab_in_background
from tests.binaries import need
from tests.faulty import faulty
from tests.program import clean_environment, run

LOUD = ("node-down", "high-memory", "slow-consensus")
SERVERS = ("prometheus", "alertmanager")
QUICK = """
groups:
- name: quick
  rules:
  - record: memory:ratio
    expr: system_memory_usage_bytes / system_memory_total_bytes
  - alert: Memory
    expr: memory:ratio > 0.9
    for: 1s
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.node }} at {{ $value | humanizePercentage }}"}
  - alert: Typo
    expr: system_memory_usage_byte > 1
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A mesh with a dead node, one short of memory and slow consensus, and no monitoring beside it."""
    with lab_in_background(LabOptions(faults=LOUD)) as running:
        yield running


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Rules that need a second, and one that sees nothing."""
    path = tmp_path / "quick.yml"
    path.write_text(QUICK)
    return path


def test_the_mesh_s_own_rules_stand_on_the_right_nodes(lab: Lab) -> None:
    """Every alert that the faults should raise is pending (its condition holds, for how long nobody knows) on the
    nodes that are hit, nothing is on others, and the report is one that programs can read."""
    ran = run("alerts", "--direct", "--gap", "300ms", "-o", "json", environment=lab.environment)
    severities = {"alerts.critical": "critical", "alerts.warning": "warning"}
    expected = {(severities[one.check], node) for one in lab.expects if one.check in severities for node in one.nodes}
    rows = ran.report["data"]
    active = {(row["severity"], row["on"]) for row in rows if row["state"] in ("PENDING", "WOULD FIRE")}
    assert active == expected
    assert {row["alert"] for row in rows} == {
        "MeshNodeDown", "ConsensusFailure", "HighMemoryUsage",
        "HighConsensusLatency", "LowPeerCount", "ModelAccuracyDrop",
    }  # fmt: skip
    assert ran.verdicts == {"alerts.direct": "warn"}
    assert ran.code == 1
    down = next(row for row in rows if row["alert"] == "MeshNodeDown")
    assert down["summary"] == f"Agent Mesh node {down['labels']['instance']} is down"
    assert down["reason"] == "holds now; fires once it has held for 5 m"


@pytest.fixture(scope="module")
def monitored() -> Iterator[Lab]:
    """A mesh with a node short of memory, and real servers that know of it."""
    for one in SERVERS:
        need(one)
    with lab_in_background(LabOptions(faults=("high-memory",), with_=SERVERS)) as running:
        yield running


@pytest.mark.parametrize("name", ["lab", "monitored"])
def test_without_prometheus_it_says_so_and_evaluates_itself(name: str, request: pytest.FixtureRequest) -> None:
    """Prometheus is gone: that is a failure, and the alerts are there all the same; what Alertmanager still knows
    stands beside them. --no-direct leaves it at the failure."""
    mesh: Lab = request.getfixturevalue(name)
    with faulty("refused") as gone:
        urls = ["--prometheus-url", gone.url, *([] if name == "monitored" else ["--alertmanager-url", gone.url])]
        ran = run("alerts", *urls, "--gap", "300ms", "-o", "json", environment=mesh.environment)
        bare = run("alerts", *urls, "--no-direct", "-o", "json", environment=mesh.environment)
    (node,) = mesh.faulty["high-memory"]
    assert ran.verdicts["stack.prometheus"] == "fail"
    assert ran.verdicts["alerts.direct"] == "warn"
    assert ran.code == 2
    states = [(row["state"], row["on"]) for row in ran.report["data"] if row["alert"] == "HighMemoryUsage"]
    assert states == [("FIRING", node), ("PENDING", node)][0 if name == "monitored" else 1 :]
    assert any("the rules were evaluated here" in note for note in ran.report["notes"])
    assert "alerts.direct" not in bare.verdicts


def test_prometheus_at_hand_is_asked_alone(monitored: Lab) -> None:
    """While Prometheus answers, its own evaluation is the answer; no page is read."""
    ran = run("alerts", "-o", "json", environment=monitored.environment)
    assert "alerts.direct" not in ran.verdicts
    assert [row["state"] for row in ran.report["data"]] == ["FIRING"]


def test_watching_tells_when_an_alert_fires(lab: Lab, quick: Path) -> None:
    """Piped, each change is a line: pending, then firing once it has held for as long as its rule says; the last
    look is the answer, in the table's format here."""
    ran = run(
        "alerts", "--rules", str(quick), "--watch", "--interval", "500ms", "--for", "3s", environment=lab.environment
    )
    (node,) = lab.faulty["high-memory"]
    changes = [line for line in ran.stdout.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    memory = [line.split("Memory ")[1] for line in changes if "Memory " in line]
    assert len(memory) == 2
    assert re.fullmatch(rf"127\.0\.0\.1:\d+ pending: {node} at 9\d\.\d+% \(holds now; fires once .* 1 s\)", memory[0])
    assert re.fullmatch(rf"127\.0\.0\.1:\d+ would fire: {node} at 9\d\.\d+% \(has held for [12] s\)", memory[1])
    assert [line.split("Typo ")[1] for line in changes if "Typo " in line] == [
        "unknown: no node exposes system_memory_usage_byte; did you mean system_memory_usage_bytes?"
    ]
    assert f"1 would fire: Memory on {node}" in ran.stdout
    assert ran.code == 2


def test_a_program_reads_the_end_of_a_watch(lab: Lab, quick: Path) -> None:
    """In JSON stdout is the last look alone; the changes go to stderr."""
    ran = run(
        "alerts", "--rules", str(quick), "--watch", "--interval", "1s", "--for", "2s", "-o", "json",
        environment=lab.environment,
    )  # fmt: skip
    assert [row["state"] for row in ran.report["data"]] == ["WOULD FIRE", "unknown"]
    assert " pending: " in ran.stderr
    assert ran.report["duration_s"] >= 2


def test_ctrl_c_ends_a_watch_with_what_there_is(lab: Lab, quick: Path) -> None:
    """The last look is printed, and the exit code says that it was cut short."""
    arguments = ["alerts", "--rules", str(quick), "--watch", "--interval", "1s"]
    with subprocess.Popen(
        [sys.executable, "-m", "meshdiag", *arguments],
        env=clean_environment(**lab.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert "Memory" in first
    assert "alerts.direct" in out
    assert err == ""
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("refused", "Memory unknown: memory:ratio cannot be recorded: none of the 1 nodes answers"),
        ("never-answers", "no answer: the nodes' pages did not come within 0.2 s"),
    ],
)
def test_a_watch_goes_on_while_nobody_answers(quick: Path, fault: str, said: str) -> None:
    """Nodes that refuse or hang are told once and asked again at each look; the end is unknown."""
    config = quick.with_name("meshdiag.toml")
    with faulty(fault) as node:
        config.write_text(f'[contexts.x]\nnodes = ["{node.url.partition("//")[2]}"]\n')
        watch = (
            "--watch",
            "--interval",
            "300ms",
            "--for",
            "1s",
            "--deadline",
            "200ms",
            "--gap",
            "0",
            "--config",
            str(config),
        )
        ran = run("alerts", "--rules", str(quick), *watch)
    lines = [line for line in ran.stdout.splitlines() if said in line and re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(lines) == 1, ran.stdout
    assert ran.code == 3


def test_the_gap_is_not_cut_by_the_deadline(lab: Lab) -> None:
    """Whoever asks for two looks far apart gets them: the deadline is for what hangs."""
    ran = run("alerts", "--direct", "--gap", "1s", "--deadline", "700ms", "-o", "json", environment=lab.environment)
    assert ran.verdicts == {"alerts.direct": "warn"}


def test_rule_files_of_the_configuration(lab: Lab, quick: Path, tmp_path: Path) -> None:
    """A context's own rule files are evaluated where no flag names any; broken ones do not cost the answer of a
    command that falls back on them."""
    text = lab.config_file.read_text()
    config = tmp_path / "meshdiag.toml"
    config.write_text(text.replace("[contexts.lab]\n", f'[contexts.lab]\nrules = ["{quick.parent}/*.yml"]\n', 1))
    ran = run("alerts", "--direct", "--config", str(config), "-o", "json")
    assert [row["alert"] for row in ran.report["data"]] == ["Memory", "Typo"]
    quick.write_text("groups: [")
    with faulty("refused") as gone:
        broken = run("alerts", "--prometheus-url", gone.url, "--config", str(config), "-o", "json")
    assert broken.verdicts["stack.prometheus"] == "fail"
    assert any("quick.yml:2: not valid YAML" in note for note in broken.report["notes"])
    assert run("alerts", "--direct", "--config", str(config)).code == 64


def test_the_commands_show_it_again(lab: Lab) -> None:
    """--explain prints commands that, pasted into a shell, show the samples behind an alert."""
    ran = run(
        "alerts", "--direct", "--gap", "300ms", "alertname=HighMemoryUsage", "--explain", environment=lab.environment
    )
    command = next(line.strip() for line in ran.stdout.splitlines() if line.strip().startswith("curl"))
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert "system_memory_usage_bytes" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--interval", "5s"), "--interval and --for are for --watch"),
        (("--for", "5s"), "--interval and --for are for --watch"),
        (("--watch", "--interval", "1ms"), "--interval is shorter than 0.1 s"),
        (("--watch", "--no-direct"), "which --no-direct rules out"),
        (("--direct", "--at", "1h ago"), "the present alone"),
        (("--direct", "--only", "alerts.critical"), "--only and --skip choose checks"),
        (("--rules", "nope.yml"), "nope.yml: cannot be read: no such file or directory"),
        (("--rules", "*.nope"), "no rule file fits '*.nope'"),
        (("--rules", "/"), "is a directory"),
        (("--rules", "bad.yml"), 'bad.yml:5: group "g", rule 1 (A): could not parse expression'),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """What does not go together, or cannot be read, is said before any node is asked."""
    (tmp_path / "bad.yml").write_text("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n")
    ran = run("alerts", *arguments, cwd=tmp_path)
    assert ran.code == 64
    assert said in ran.stderr
    assert ran.stdout == ""


def test_every_problem_of_a_rule_file_is_printed_with_its_caret(tmp_path: Path) -> None:
    """Whoever mends a file sees all mistakes that are told, each with its line, not the first few lines of them."""
    wrong = "".join(f"  - alert: A{number}\n    expr: sum(\n" for number in range(5))
    (tmp_path / "bad.yml").write_text(f"groups:\n- name: g\n  rules:\n{wrong}")
    ran = run("alerts", "--rules", "bad.yml", cwd=tmp_path)
    assert ran.stderr.count("never closed") == 5
    assert ran.stderr.count("^") == 5
    assert "more lines" not in ran.stderr
