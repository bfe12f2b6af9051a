"""Every check, whoever wrote it: in its place, worded well, explained, tested, and never a pass without data."""

from __future__ import annotations

import re
import socket
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshdiag.catalog import Unit
from meshdiag.checks import all_checks
from meshdiag.context import Context, Endpoint
from meshdiag.engine import Run, run_checks
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Evidence, Result, Verdict
from meshdiag.runbook import library
from meshdiag.sources import Sources
from meshdiag.sources.alertmanager import Alertmanager
from meshdiag.sources.meshlog import MeshLog
from meshdiag.sources.prometheus import Prometheus
from tests.unit.memory_metrics import NOW, Memory, mesh

if TYPE_CHECKING:
    from meshdiag.checks import Check

CHECKS = sorted(all_checks().values(), key=lambda check: check.id)
TESTS = Path(__file__).parent.parent
FROM_UP_ALONE = {"nodes.up", "nodes.roles", "nodes.scrape-age"}
"""What the ``up`` series answers by itself."""
SPEAKS_OF_THE_SOURCE = ("stack.", "grafana.health")
"""Checks of this subject fail when their source does: that is the answer to their question."""

each = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)


@each
def test_the_id_names_the_module(check: Check) -> None:
    """``consensus.round-duration`` lies in ``checks/consensus.py``, so that the id tells where to look."""
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", check.id)
    assert check.run.__module__ == f"meshdiag.checks.{check.subject}"


@each
def test_the_title_is_the_healthy_state(check: Check) -> None:
    """A title is a short sentence without an end mark, and repeats no threshold, which configuration may move."""
    servers = ("Prometheus", "Alertmanager", "Grafana", "Loki", "Jaeger")
    assert check.title[0].islower() or check.title.startswith(servers)
    assert check.title[-1].isalpha()
    assert 2 <= len(check.title.split()) <= 14
    assert not re.search(r"\d", check.title), "a threshold in the title is wrong as soon as it is configured"


@each
def test_there_is_a_next_step_and_a_page(check: Check) -> None:
    """Who sees the check fail is told what to do next, and where to read on; the page knows the check."""
    assert check.hint
    assert check.hint.strip() == check.hint
    assert not check.hint.endswith(".")
    assert check.id in library.read(check.runbook).checks


@pytest.mark.parametrize("name", library.names())
def test_a_page_lists_the_checks_that_point_to_it(name: str) -> None:
    """What a page's front matter claims is so: the check exists and names the page."""
    for id_ in library.read(name).checks:
        assert id_ in all_checks(), f"{name} lists {id_}, which does not exist"
        assert all_checks()[id_].runbook == name


@each
def test_a_threshold_has_a_unit(check: Check) -> None:
    """Its bounds can be told in words: above 10 s, and not above 10 of whatever it may be."""
    assert check.threshold is None or check.unit in set(Unit)


@each
def test_a_test_names_the_check(check: Check) -> None:
    """Some test of the checks names the id."""
    tests = [
        path for path in TESTS.rglob("test_*.py") if path.name not in ("test_checks_conformance.py", "test_causes.py")
    ]
    assert any(f'"{check.id}"' in path.read_text() for path in tests)


@each
def test_a_check_asks_only_for_what_it_declares(check: Check) -> None:
    """The sources that a check declares are ones that there are."""
    assert check.needs
    asked = {source for need in check.needs for source in need.split("|")}
    assert asked <= {one.name for one in fields(Sources)} - {"left_out"}


class Failing:
    """A source of which everything that is asked fails."""

    name = "broken"
    gate = None
    history = True
    warnings = ()

    def __getattr__(self, name: str) -> Any:
        async def fail(*_arguments: Any, **_named: Any) -> Any:
            raise SourceError("connection refused", trouble=Trouble.REFUSED, source="broken")

        return fail

    def evidence(self, *_arguments: Any, **_named: Any) -> Evidence:
        return Evidence("broken", "ask")


async def run_all(sources: Any, *checks: Check) -> dict[str, Result]:
    """The results of some checks (all by default), through the engine."""
    nobody = Endpoint("http://127.0.0.1:9")
    named = Context(jaeger=nobody, grafana=nobody, loki=nobody)  # one that nobody named is not missed
    run = Run(named, sources, NOW, timedelta(hours=1), deadline_s=30)
    answers = await run_checks(checks or CHECKS, run)
    return {result.id: result for result in answers.results}


async def test_every_check_is_unknown_when_its_source_fails() -> None:
    """A source that cannot be asked is UNKNOWN with the reason, or FAIL where the source is the subject."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=2)
    broken: Any = Failing()
    async with Prometheus(nobody) as prometheus, Alertmanager(nobody) as alertmanager:
        others = [one.name for one in fields(Sources)][3:-1]
        sources = Sources((broken,), prometheus, alertmanager, **dict.fromkeys(others, broken))
        results = await run_all(sources)
    assert len(results) == len(CHECKS)
    for id_, result in results.items():
        allowed = {Verdict.UNKNOWN, Verdict.FAIL} if id_.startswith(SPEAKS_OF_THE_SOURCE) else {Verdict.UNKNOWN}
        assert result.verdict in allowed, f"{id_} is {result.verdict}: {result.summary}"
        assert "bug in this check" not in result.summary, f"{id_}: {result.summary}"
        assert "refused" in result.summary, f"{id_}: {result.summary}"


def asks_metrics(check: Check) -> bool:
    """Whether a check goes by metrics and probes alone."""
    return set(check.needs) <= {"metrics", "probe"}


async def test_no_check_passes_on_empty_answers() -> None:
    """When the metrics source knows nothing at all, no check passes, and each says why."""
    memory: Any = Memory()
    probe: Any = Silent()
    checks = [check for check in CHECKS if asks_metrics(check)]
    for id_, result in (await run_all(Sources((memory,), probe=probe), *checks)).items():
        assert result.verdict is not Verdict.PASS, f"{id_}: {result.summary}"
        assert "bug in this check" not in result.summary, f"{id_}: {result.summary}"
        assert result.summary


@pytest.mark.parametrize("direct", [False, True])
async def test_no_check_passes_on_nodes_that_expose_nothing(direct: bool) -> None:
    """Nodes that are up but silent are unknown, or skipped with a reason where the metric is optional."""
    memory: Any = mesh(direct=direct)
    probe: Any = Silent()
    checks = [check for check in CHECKS if asks_metrics(check) and check.id not in FROM_UP_ALONE]
    for id_, result in (await run_all(Sources((memory,), probe=probe), *checks)).items():
        assert result.verdict is not Verdict.PASS, f"{id_}: {result.summary}"
        assert "bug in this check" not in result.summary, f"{id_}: {result.summary}"
        assert result.summary


async def test_no_check_passes_on_an_empty_log(tmp_path: Path) -> None:
    """A log file without a line proves nothing."""
    (tmp_path / "agent-mesh.json").touch()
    meshlog = MeshLog([str(tmp_path / "agent-mesh.json")], now=lambda: NOW)
    checks = [check for check in CHECKS if check.needs == ("meshlog",)]
    assert checks
    for id_, result in (await run_all(Sources(meshlog=meshlog), *checks)).items():
        assert result.verdict is Verdict.UNKNOWN, f"{id_} is {result.verdict}"


class Silent:
    """A source of probes that is given nothing to probe."""

    async def probe(self, _targets: Any, *_more: Any) -> tuple[Any, ...]:
        return ()
