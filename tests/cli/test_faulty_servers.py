"""The whole program against every faulty server: a verdict with advice, never a pass, a traceback or a hang."""

from __future__ import annotations

import pytest

from tests.faulty import FAULTS, Fault, faulty
from tests.program import run

LIMITS = ("--timeout", "1s", "--deadline", "8s")


def ask(url: str, *arguments: str) -> tuple[str, ...]:
    """Arguments that point both servers at one address, with a password that must never be seen again."""
    return (*arguments, "--prometheus-url", url, "--alertmanager-url", url, *LIMITS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_health_never_passes_on_a_faulty_server(fault: Fault) -> None:
    """What cannot be asked is a failure or unknown, named once, with what to try; dependants fold under it."""
    with faulty(fault.name) as server:
        ran = run(*ask(server.url, "health", "--no-direct", "-o", "json"), timeout=30)
    report = ran.report
    assert ran.code in (2, 3), (ran.code, report["verdict"])
    assert ran.stderr == ""
    gate = next(one for one in report["checks"] if one["id"] == "stack.prometheus")
    if fault.troubles:
        assert gate["verdict"] in ("fail", "unknown")
        assert gate["hint"]
        folded = [one for one in report["checks"] if one["because"] == "stack.prometheus"]
        assert len(folded) > 10, "what needs Prometheus waits for it"
    if fault.troubles or fault.name in ("empty-result", "nan-and-inf"):
        assert "pass" not in {one["verdict"] for one in report["checks"] if one["id"].startswith("consensus.")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_a_terminal_gets_is_harmless_and_short(fault: Fault) -> None:
    """One failed server is one failure on the screen, not twenty; no control character gets through."""
    with faulty(fault.name) as server:
        ran = run(*ask(server.url, "health", "--no-direct"), environment={"COLUMNS": "80"}, timeout=30)
    lines = ran.stdout.splitlines()
    assert ran.code in (2, 3)
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()]
    assert max(map(len, lines)) <= 80
    if fault.troubles:
        assert len(lines) < 45, ran.stdout


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_query_says_what_is_wrong(fault: Fault) -> None:
    """An answer, or unknown with a reason; the exit code tells them apart."""
    with faulty(fault.name) as server:
        ran = run(*ask(server.url, "query", "up", "--no-direct", "-o", "json"), timeout=30)
    if fault.troubles:
        assert ran.code in (2, 3), ran.stdout
    elif fault.name == "empty-result":
        assert ran.code == 3
        assert "up" in ran.check("query")["summary"]
    else:
        assert ran.report["data"]


@pytest.mark.parametrize("command", ["consensus", "nodes", "alerts"])
def test_every_command_survives_a_server_that_never_answers(command: str) -> None:
    """The deadline holds for each command, and the gate is named."""
    with faulty("never-answers") as server:
        ran = run(*ask(server.url, command, "--no-direct", "-o", "json"), timeout=30)
    assert ran.code in (2, 3)
    assert ran.report["checks"]


def test_no_cause_is_drawn_from_what_was_not_reached() -> None:
    """A deadline that is shorter than the wait for one answer proves nothing: no address is called wrong."""
    with faulty("never-answers") as server:
        ran = run("consensus", "--prometheus-url", server.url, "--deadline", "0.5s", "-o", "json", timeout=30)
    assert ran.code == 3
    assert {one["verdict"] for one in ran.report["checks"]} == {"unknown"}
    assert ran.report["causes"] == []


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    """Secrets come from a file, a variable or a command; one in a flag is refused without being printed."""
    ran = run("health", "--prometheus-url", "http://operator:s3cret@127.0.0.1:1")
    assert ran.code == 64
    assert "s3cret" not in ran.stderr + ran.stdout
    assert ran.stderr.startswith("meshdiag: ")


def test_prometheus_on_a_nodes_port_is_recognised(healthy_lab: object) -> None:
    """The documented ports let a node's own page sit where Prometheus is expected: that is said, not trusted."""
    page = next(iter(healthy_lab.nodes)).url.removesuffix("/metrics")  # type: ignore[attr-defined]
    ran = run("health", "--no-direct", "--prometheus-url", page, "-o", "json")
    gate = ran.check("stack.prometheus")
    assert gate["verdict"] == "fail"
    assert "metrics" in gate["summary"]
    assert ran.code == 2


@pytest.mark.parametrize("fault", ["refused", "status-500", "html", "redirect-away", "hostile-labels"])
def test_logs_of_a_faulty_loki_are_one_sentence_or_harmless_lines(fault: str) -> None:
    """No line and no traceback comes from a server that is no Loki: exit code 3 and what to try; hostile lines are
    made harmless on the way to a person."""
    with faulty(fault) as server:
        ran = run("logs", "--source", "loki", "-o", "json", environment={"MESHDIAG_LOKI_URL": server.url}, timeout=30)
    if fault == "hostile-labels":
        assert ran.code == 0, ran.stderr
        assert all(line.isprintable() for line in ran.stdout.splitlines())
    else:
        assert ran.code == 3, ran.stderr
        assert ran.stdout == ""
        assert ran.stderr.startswith("meshdiag: Loki at ")
        assert len(ran.stderr.splitlines()) <= 3, ran.stderr
        assert "\x1b" not in ran.stderr


ELSEWHERE = ("MESHDIAG_GRAFANA_URL", "MESHDIAG_JAEGER_URL", "MESHDIAG_LOKI_URL")


FEW = ("refused", "never-answers", "status-401", "status-500", "html", "not-json", "hostile-labels")
TRIED = [
    *(("stack", fault) for fault in FAULTS),
    *(
        (command, fault)
        for command in ("dashboards", "traces", "alerts route severity=critical")
        for fault in FAULTS
        if fault.name in FEW
    ),
]


@pytest.mark.parametrize(("command", "fault"), TRIED, ids=lambda one: getattr(one, "name", one))
def test_no_other_command_passes_on_a_faulty_server(command: str, fault: Fault) -> None:
    """Whatever the server is and does: a verdict inside the deadline, nothing that is not so, no control character."""
    with faulty(fault.name) as server:
        environment = {"COLUMNS": "80", **dict.fromkeys(ELSEWHERE, server.url)}
        ran = run(*ask(server.url, *command.split()), environment=environment, timeout=30)
    assert all(line.isprintable() for line in ran.stdout.splitlines()), ran.stdout
    if fault.troubles:
        assert ran.code in (2, 3), ran.stdout
