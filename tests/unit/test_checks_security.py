"""Checks of security: failures that are a rate, certificates that run out, attacks that are counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from meshdiag.checks import all_checks
from meshdiag.context import Context, Endpoint
from meshdiag.engine import Run, run_checks
from meshdiag.model import Verdict
from meshdiag.session import open_sources
from meshdiag.sources import Sources
from meshdiag.sources.grafana.login import GrafanaLogin
from tests.replay import replay_one
from tests.unit.memory_metrics import NOW, Memory, ask, mesh

if TYPE_CHECKING:
    from meshdiag.checks import Outcome

ONE, TWO, THREE = ALL = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091")


def verdicts(outcome: Outcome) -> list[Verdict]:
    """The verdicts in the order of nodes."""
    return [finding.verdict for finding in sorted(outcome.findings, key=lambda finding: finding.subject)]


async def test_security_auth_failures_are_a_rate():
    """A failure now and then passes, one a second warns, many fail."""
    memory = mesh()
    for trainer, rate in zip(ALL, (0.001, 1, 8), strict=True):
        memory.add("security_auth_failures_total", trainer, lambda age, rate=rate: int((10_800 - age) * rate))
    outcome = await ask("security.auth-failures", memory)
    assert verdicts(outcome) == [Verdict.PASS, Verdict.WARN, Verdict.FAIL]


async def test_security_auth_failures_forgive_a_single_one_between_two_page_reads():
    """One failure in two seconds is no storm; forty are."""
    memory = mesh(direct=True)
    for trainer, grown in zip(ALL, (0, 1, 40), strict=True):
        memory.add("security_auth_failures_total", trainer, lambda age, grown=grown: 100 if age else 100 + grown)
    assert verdicts(await ask("security.auth-failures", memory)) == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]


async def test_security_certificates_take_the_first_to_expire():
    """Of a node's certificates the one that expires first decides; expired is said to be so."""
    memory = mesh()
    memory.add("security_cert_expiry_days", ONE, 300, cert="server")
    memory.add("security_cert_expiry_days", ONE, 20, cert="peer")
    memory.add("security_cert_expiry_days", TWO, -1)
    memory.add("security_cert_expiry_days", THREE, 200)
    outcome = await ask("security.certificates", memory)
    assert verdicts(outcome) == [Verdict.WARN, Verdict.FAIL, Verdict.PASS]
    assert "the certificate has expired" in outcome.summary


async def test_security_attacks_name_node_and_type():
    """A counter that grew within the window fails with its type; one that grew long ago passes."""
    memory = mesh()
    memory.add("security_attacks_detected_total", ONE, lambda age: 3 if age < 1200 else 0, type="sybil")
    memory.add("security_attacks_detected_total", ONE, lambda age: 9 if age < 1200 else 0, type="replay")
    memory.add("security_attacks_detected_total", TWO, lambda age: 5 if age < 9000 else 0, type="sybil")
    memory.add("security_attacks_detected_total", THREE, 0)
    outcome = await ask("security.attacks", memory)
    assert verdicts(outcome) == [Verdict.FAIL, Verdict.PASS, Verdict.PASS]
    (found,) = (finding for finding in outcome.findings if finding.verdict is Verdict.FAIL)
    assert found.message == "attacks detected: replay, sybil"
    assert found.value == 12


async def test_security_attacks_see_a_series_that_is_born_with_the_first_attack():
    """A series that did not exist at the window's start counts what it holds, on a node that did exist."""
    memory = mesh((ONE, TWO))
    memory.add("security_attacks_detected_total", ONE, 2, since=600, type="eclipse")
    memory.add("security_attacks_detected_total", TWO, 0, type="eclipse")
    memory.node(THREE, since=900)
    memory.add("security_attacks_detected_total", THREE, 7, since=900, type="eclipse")
    outcome = await ask("security.attacks", memory)
    assert verdicts(outcome) == [Verdict.FAIL, Verdict.PASS, Verdict.PASS]
    assert outcome.findings[0].value == 2


async def test_security_attacks_before_a_restart_are_not_lost():
    """A counter that stands at 0 because its process began anew still tells of the attack before that."""
    memory = mesh()
    for instance, reset in ((ONE, 600), (TWO, 9000), (THREE, 600)):
        memory.add("process_start_time_seconds", instance, NOW.timestamp() - reset)
    memory.add("security_attacks_detected_total", ONE, lambda age: 0 if age < 600 or age > 1200 else 4, type="sybil")
    memory.add("security_attacks_detected_total", TWO, 0, type="sybil")
    memory.add("security_attacks_detected_total", THREE, 0, type="sybil")
    outcome = await ask("security.attacks", memory)
    assert verdicts(outcome) == [Verdict.FAIL, Verdict.PASS, Verdict.PASS]
    assert outcome.findings[0].value == 4


async def test_a_quiet_mesh_is_not_asked_for_a_window_of_every_attack_series():
    """Counters at 0 in processes older than the window had no attack in it: the present values are enough."""
    memory = mesh()
    for instance in ALL:
        memory.add("process_start_time_seconds", instance, NOW.timestamp() - 9000)
        memory.add("security_attacks_detected_total", instance, 0, type="sybil")
    outcome = await ask("security.attacks", memory)
    assert verdicts(outcome) == [Verdict.PASS] * 3
    assert not [query for query in memory.asked if "attacks" in query and "[" in query]


async def test_security_attacks_without_history_are_the_growth_between_two_reads():
    """From the nodes' own pages, what was counted long ago is no attack now; what grows is."""
    memory = mesh((ONE, TWO), direct=True)
    memory.add("security_attacks_detected_total", ONE, lambda age: 50 if age else 52, attack_type="poisoning")
    memory.add("security_attacks_detected_total", TWO, 50)
    outcome = await ask("security.attacks", memory)
    assert verdicts(outcome) == [Verdict.FAIL, Verdict.PASS]
    assert outcome.findings[0].message == "attacks detected: poisoning"
    assert (outcome.findings[0].value, outcome.findings[0].unit) == (1.0, "1/s")


async def test_security_encryption_overhead_is_judged_in_milliseconds():
    """Twenty milliseconds are the warning's bound."""
    memory = mesh()
    for trainer, value in zip(ALL, (2, 40, 400), strict=True):
        memory.add("security_encryption_overhead_ms", trainer, value)
    assert verdicts(await ask("security.encryption-overhead", memory)) == [Verdict.PASS, Verdict.WARN, Verdict.FAIL]


@pytest.mark.parametrize("id_", ["auth-failures", "certificates", "attacks", "encryption-overhead"])
@pytest.mark.parametrize("direct", [False, True])
async def test_a_metric_that_nobody_exposes_is_unknown(id_, direct):
    """No data is no answer: unknown with the reason, never a pass."""
    outcome = await ask(f"security.{id_}", mesh(direct=direct))
    assert verdicts(outcome) == [Verdict.UNKNOWN]
    assert "never seen" in outcome.summary


async def test_security_auth_rise_holds_the_rate_against_the_day_before():
    """As many as the day before pass, thirty times as many fail; some where there were none warn; a few are no rise;
    a node that was not there then is skipped."""
    four = "trainer-4:9091"
    memory = Memory(hours=26)
    for instance in (*ALL, four):
        memory.node(instance)
    five = "trainer-5:9091"
    memory.node(five, since=3600)
    rates = {ONE: (0.5, 0.4), TWO: (4, 0.1), THREE: (1, 0), four: (0.01, 0)}
    for instance, (now, then) in rates.items():
        memory.add("security_auth_failures_total", instance, lambda age, now=now, then=then: grown(age, now, then))
    memory.add("security_auth_failures_total", five, lambda age: int((3600 - age) * 9), since=3600)
    outcome = await ask("security.auth-rise", memory)
    assert verdicts(outcome) == [Verdict.PASS, Verdict.FAIL, Verdict.WARN, Verdict.PASS, Verdict.SKIP]
    assert len(outcome.evidence) == 2


def grown(age: float, now: float, then: float) -> float:
    """A counter that grew by ``then`` a second until an hour ago, and by ``now`` since."""
    hour, day = 3600.0, 26 * 3600.0
    return (day - max(age, hour)) * then + max(0.0, hour - age) * now


async def test_security_default_password_fails_when_it_opens_grafana_and_passes_when_it_is_refused():
    """One request to Grafana as it really answered; the evidence is the command, and says that it was tried once."""
    for recorded, verdict in (("user", Verdict.FAIL), ("unauthorized_401_bad_password", Verdict.PASS)):
        with replay_one("grafana-6.5.1", recorded) as server:
            async with GrafanaLogin(Endpoint(server.url)) as login:
                outcome = await ask("security.default-password", sources=Sources(grafana_login=login))
            assert len(server.asked) == 1
        assert verdicts(outcome) == [verdict]
        assert "tried once" in outcome.evidence[0].excerpt
        assert "/api/user" in outcome.evidence[0].command


async def test_the_default_password_is_not_tried_unless_it_was_asked_for():
    """Opened as any command opens them, the sources hold no door to knock at, and say how to ask for it."""
    with replay_one("grafana-6.5.1", "user") as server:
        context = Context(prometheus=None, alertmanager=None, grafana=Endpoint(server.url))
        check = all_checks()["security.default-password"]
        async with open_sources(context) as sources:
            answers = await run_checks([check], Run(context, sources, NOW, timedelta(hours=1)))
        assert server.asked == []
    (result,) = answers.results
    assert result.verdict is Verdict.SKIP
    assert "--try-default-password" in result.summary
