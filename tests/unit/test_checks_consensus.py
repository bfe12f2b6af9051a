"""Checks of consensus: slow and failing rounds, votes, leaders, accusations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.sources.meshlog import MeshLog, Round, RoundLog
from tests.unit.memory_metrics import NOW, ask, mesh

ONE, TWO, THREE = ALL = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091")


def by_subject(outcome):
    return {finding.subject: finding for finding in outcome.findings}


def verdicts(outcome):
    return {finding.subject: finding.verdict for finding in outcome.findings}


def count(memory, metric, instance, rate, **labels):
    """A counter that grows by ``rate`` a second."""
    memory.add(metric, instance, lambda age: int((10_800 - age) * rate), **labels)


async def test_consensus_round_duration_judges_the_gauge():
    """Over ten seconds warns as HighConsensusLatency does, over thirty fails."""
    memory = mesh()
    for instance, duration in zip(ALL, (2.5, 14.2, 31), strict=True):
        memory.add("consensus_round_duration_seconds", instance, duration)
    outcome = await ask("consensus.round-duration", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.WARN, THREE: Verdict.FAIL}
    assert by_subject(outcome)[TWO].observed == NOW
    assert outcome.summary == "trainer-3: rounds are slow (31 s)"


async def test_consensus_round_duration_judges_histograms():
    """A mesh with buckets is judged by its 95th percentile, where the rule would see nothing."""
    memory = mesh((ONE, TWO))
    for instance, quick in ((ONE, 1.0), (TWO, 0.5)):
        for bound, share in (("5", quick), ("20", 1.0), ("+Inf", 1.0)):
            count(memory, "consensus_round_duration_seconds_bucket", instance, share, le=bound)
    assert verdicts(await ask("consensus.round-duration", memory)) == {ONE: Verdict.PASS, TWO: Verdict.WARN}


async def test_consensus_round_duration_of_a_histogram_without_rounds_is_unknown():
    """No round within five minutes has no percentile: NaN is unknown, not a pass."""
    memory = mesh((ONE,))
    for bound in ("5", "+Inf"):
        memory.add("consensus_round_duration_seconds_bucket", ONE, 100, le=bound)
    assert verdicts(await ask("consensus.round-duration", memory)) == {ONE: Verdict.UNKNOWN}


async def test_a_round_that_no_look_saw_is_unknown_with_what_to_try():
    """Between two looks at a page there may be no round at all: a longer gap sees one."""
    memory = mesh((ONE,), direct=True)
    for bound in ("5", "+Inf"):
        memory.add("consensus_round_duration_seconds_bucket", ONE, 100, le=bound)
    outcome = await ask("consensus.round-duration", memory)
    assert verdicts(outcome) == {ONE: Verdict.UNKNOWN}
    assert "--gap" in outcome.hint


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    ("id_", "metric", "bounds", "role"),
    [
        ("consensus.round-duration", "consensus_round_duration_seconds", (5, 20), "trainer"),
        ("learning.aggregation-time", "fl_aggregation_duration_seconds", (10, 60), "aggregator"),
        ("security.encryption-overhead", "security_encryption_overhead_ms", (5, 50), "trainer"),
    ],
)
async def test_every_duration_is_read_in_both_shapes(id_, metric, bounds, role, direct):
    """As a gauge and as a histogram, through Prometheus and from two looks at the pages: the slow node is found."""
    for histogram in (False, True):
        memory = mesh((), direct=direct)
        for instance, slow in ((ONE, False), (TWO, True)):
            memory.node(instance, role)
            if not histogram:
                memory.add(metric, instance, bounds[1] if slow else bounds[0])
                continue
            for bound, pace in ((str(bounds[0]), 0 if slow else 10), (str(bounds[1]), 10), ("+Inf", 10)):
                memory.add(f"{metric}_bucket", instance, lambda age, pace=pace: (10_800 - age) * pace, le=bound)
        found = verdicts(await ask(id_, memory))
        assert found == {ONE: Verdict.PASS, TWO: Verdict.WARN}, ("histogram" if histogram else "gauge", found)


async def test_consensus_failed_rounds_go_by_the_second_as_the_rule_does():
    """More than 0.1 failures a second fail."""
    memory = mesh((ONE, TWO))
    count(memory, "consensus_failed_rounds_total", ONE, 0.01)
    count(memory, "consensus_failed_rounds_total", TWO, 0.3)
    outcome = await ask("consensus.failed-rounds", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.FAIL}
    assert by_subject(outcome)[TWO].unit == "1/s"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [((0, 0, 1), "ppp"), ((0, 0, 4), "ppf"), ((1, 1, 1), "fff"), ((0, 0, 0), "ppp")],
)
async def test_consensus_failed_rounds_are_not_told_from_a_single_event(seen, expected):
    """Between two looks two seconds apart one failure is chance; several, or one on every node, are not."""
    memory = mesh(direct=True)
    for instance, grown in zip(ALL, seen, strict=True):
        memory.add("consensus_failed_rounds_total", instance, lambda age, grown=grown: 50 if age else 50 + grown)
    words = {Verdict.PASS: "p", Verdict.FAIL: "f"}
    found = verdicts(await ask("consensus.failed-rounds", memory))
    assert "".join(words[found[instance]] for instance in ALL) == expected


async def test_consensus_failed_rounds_are_optional():
    """The metric list does not have it: where nobody exposes it the check is skipped."""
    assert (await ask("consensus.failed-rounds", mesh())).verdict is Verdict.SKIP


async def test_consensus_failed_share_is_told_where_a_total_is():
    """Two of five rounds fail; of nodes that began none nothing is said."""
    memory = mesh()
    for instance, failed, total in ((ONE, 0.004, 0.8), (TWO, 0.32, 0.8), (THREE, 0, 0)):
        count(memory, "consensus_failed_rounds_total", instance, failed)
        count(memory, "consensus_rounds_total", instance, total)
    outcome = await ask("consensus.failed-share", memory)
    assert verdicts(outcome) == {ONE: Verdict.PASS, TWO: Verdict.FAIL, THREE: Verdict.SKIP}
    assert by_subject(outcome)[TWO].value == pytest.approx(0.4, rel=0.05)


@pytest.mark.parametrize(("seen", "expected"), [((0, 0, 1), "ppp"), ((0, 0, 2), "ppf"), ((1, 1, 1), "fff")])
async def test_consensus_failed_share_is_not_told_from_a_single_round(seen, expected):
    """Between two looks a node sees two rounds: one that failed is no share of a half."""
    memory = mesh(direct=True)
    for instance, grown in zip(ALL, seen, strict=True):
        memory.add("consensus_failed_rounds_total", instance, lambda age, grown=grown: 50 if age else 50 + grown)
        memory.add("consensus_rounds_total", instance, lambda age: 900 if age else 902)
    words = {Verdict.PASS: "p", Verdict.FAIL: "f"}
    found = verdicts(await ask("consensus.failed-share", memory))
    assert "".join(words[found[instance]] for instance in ALL) == expected


async def test_consensus_failed_share_says_that_the_rule_is_no_share():
    """Without a total the "10%" of the rule cannot be reckoned, and what the rule really says is told."""
    memory = mesh((ONE,))
    count(memory, "consensus_failed_rounds_total", ONE, 0.3)
    outcome = await ask("consensus.failed-share", memory)
    assert outcome.verdict is Verdict.SKIP
    assert "consensus_rounds_total" in outcome.summary
    assert "failures a second" in outcome.summary


async def test_consensus_vote_success_does_not_take_a_percentage_for_excellent():
    """A share below 0.95 warns, below two thirds fails, and 98.7 is no share at all."""
    memory = mesh((*ALL, "trainer-4:9091", "trainer-5:9091"))
    values = (0.99, 0.9, 0.3, 98.7)
    for instance, value in zip((*ALL, "trainer-4:9091"), values, strict=True):
        memory.add("consensus_vote_success_rate", instance, value)
    assert verdicts(await ask("consensus.vote-success", memory)) == {
        ONE: Verdict.PASS,
        TWO: Verdict.WARN,
        THREE: Verdict.FAIL,
        "trainer-4:9091": Verdict.UNKNOWN,
        "trainer-5:9091": Verdict.UNKNOWN,
    }


@pytest.mark.parametrize(("rate", "verdict"), [(1 / 900, Verdict.PASS), (1 / 60, Verdict.WARN), (1 / 8, Verdict.FAIL)])
async def test_consensus_leader_elections_are_counted_once_for_the_mesh(rate, verdict):
    """All nodes see the same elections: the largest count within five minutes stands, and is not added up."""
    memory = mesh()
    for instance in ALL:
        count(memory, "consensus_leader_elections_total", instance, rate)
    outcome = await ask("consensus.leader-elections", memory)
    assert verdicts(outcome) == {"mesh": verdict}
    assert outcome.findings[0].value == pytest.approx(300 * rate, abs=1.1)


async def test_consensus_byzantine_accuses_the_accused():
    """A peer label names the suspect: it fails, with who says so; those who report it are not suspects."""
    memory = mesh()
    memory.add("consensus_byzantine_nodes_detected", ONE, 1, peer="trainer-3")
    memory.add("consensus_byzantine_nodes_detected", TWO, 1, peer="trainer-3")
    memory.add("consensus_byzantine_nodes_detected", THREE, 0)
    outcome = await ask("consensus.byzantine", memory)
    assert verdicts(outcome) == {THREE: Verdict.FAIL, ONE: Verdict.PASS, TWO: Verdict.PASS}
    accused = by_subject(outcome)[THREE]
    assert accused.message == "the node is taken for Byzantine by trainer-1, trainer-2"
    assert (accused.value, accused.labels["node"]) == (2.0, "trainer-3")


async def test_consensus_byzantine_falls_to_the_reporter_where_nobody_is_named():
    """Without a name all that is known is who reports; a node without the metric is unknown."""
    memory = mesh()
    memory.add("consensus_byzantine_nodes_detected", ONE, 2)
    memory.add("consensus_byzantine_nodes_detected", TWO, 0)
    outcome = await ask("consensus.byzantine", memory)
    assert verdicts(outcome) == {ONE: Verdict.FAIL, TWO: Verdict.PASS, THREE: Verdict.UNKNOWN}


async def test_consensus_byzantine_may_name_a_node_that_nobody_knows():
    """An accused peer outside the roster is shown as it is named."""
    memory = mesh((ONE,))
    memory.add("consensus_byzantine_nodes_detected", ONE, 1, peer="stranger")
    assert by_subject(await ask("consensus.byzantine", memory))["stranger"].labels == {"peer": "stranger"}


@pytest.mark.parametrize("id_", ["round-duration", "vote-success", "leader-elections", "byzantine"])
async def test_a_metric_that_nobody_exposes_is_unknown(id_):
    """What the metric list has and nobody exposes is unknown, with the reason."""
    outcome = await ask(f"consensus.{id_}", mesh())
    assert verdicts(outcome) == {"mesh": Verdict.UNKNOWN}
    assert "never seen" in outcome.summary


class Journal:
    """A log with known rounds."""

    def __init__(self, *rounds, **more):
        self.log = RoundLog(rounds=rounds, **({"files": ("/app/logs/agent-mesh.json",)} | more))

    async def rounds(self, since):
        return self.log


def rounds_of(leaders, slow=(), every=10):
    """Rounds led in turn, two nodes logging each; those of ``slow`` take 14 s."""
    return [
        Round(NOW - timedelta(seconds=every * (40 - n)), n, leader, 14.0 if leader in slow else 2.0, "commit", node)
        for n, leader in enumerate(leaders * (40 // len(leaders)))
        for node in ("trainer-1", "trainer-2")
    ]


async def ask_log(*rounds, **more):
    return await ask("consensus.slow-leaders", sources=Sources(meshlog=Journal(*rounds, **more)))


async def test_consensus_slow_leaders_names_the_one_behind_the_slow_rounds():
    """One of four leaders is slow: its share of the slow rounds stands out."""
    outcome = await ask_log(*rounds_of(["t1", "t2", "t3", "t4"], slow={"t3"}))
    assert verdicts(outcome) == {"t3": Verdict.WARN}
    assert outcome.findings[0].value == 1.0
    assert outcome.summary == "10 of 40 rounds took over 10 s, 10 of them led by t3"
    assert "/app/logs/agent-mesh.json" in outcome.evidence[0].command


@pytest.mark.parametrize(
    ("leaders", "slow"),
    [
        (["t1", "t2", "t3", "t4"], {"t1", "t2", "t3", "t4"}),
        (["t1", "t1", "t1", "t2"], {"t1", "t2"}),
        (["t1", "t2"], set()),
        (["t1"], {"t1"}),
    ],
)
async def test_consensus_slow_leaders_blames_nobody_without_need(leaders, slow):
    """Rounds that are slow under every leader, or led by one alone, are no leader's fault."""
    outcome = await ask_log(*rounds_of(leaders, slow=slow))
    assert set(verdicts(outcome).values()) == {Verdict.PASS}


async def test_consensus_slow_leaders_without_a_log_here_is_skipped():
    """The logs are on another machine: skipped, with the reason."""
    outcome = await ask_log(problem="no log file here: /app/logs/agent-mesh.json", absent=True, files=())
    assert outcome.verdict is Verdict.SKIP
    assert "no log file here" in outcome.summary


async def test_consensus_slow_leaders_with_a_log_that_cannot_be_read_is_unknown(tmp_path):
    """A log that is here and cannot be read, or tells of no round, is no pass."""
    outcome = await ask("consensus.slow-leaders", sources=Sources(meshlog=MeshLog([str(tmp_path)])))
    assert outcome.verdict is Verdict.UNKNOWN
    empty = tmp_path / "agent-mesh.json"
    empty.write_text("")
    outcome = await ask("consensus.slow-leaders", sources=Sources(meshlog=MeshLog([str(empty)])))
    assert verdicts(outcome) == {"mesh": Verdict.UNKNOWN}


async def test_consensus_slow_leaders_of_a_moment_that_the_log_no_longer_holds():
    """Rounds of last night that were rotated away are not looked at; nobody is told that the log is silent."""
    journal = Journal(*rounds_of(["t1", "t2"], slow={"t1"}))
    outcome = await ask("consensus.slow-leaders", sources=Sources(meshlog=journal), at=NOW - timedelta(days=2))
    assert (outcome.verdict, outcome.summary) == (
        Verdict.SKIP,
        "not looked at: the log holds no round of that time (any more)",
    )
