"""Causes: named when the findings carry them, never on a healthy report, never beyond what was found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.causes import all_causes, find_causes
from meshdiag.causes.clues import Clues, listed
from meshdiag.checks import all_checks
from meshdiag.model import Evidence, Finding, Result, Verdict

PASS, WARN, FAIL, UNKNOWN, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN, Verdict.SKIP


def about(node: str, verdict: Verdict, message: str = "", value: float | None = None, **labels: str) -> Finding:
    """A finding about a node, as the checks write it."""
    return Finding(f"{node}:9091", verdict, message, value, labels={"node": node, **labels})


def result(id_: str, *findings: Finding, verdict: Verdict | None = None, **more) -> Result:
    """A result whose verdict follows from its findings."""
    return Result(id_, "Title", verdict or Verdict.worst(one.verdict for one in findings), "summary", findings, **more)


def fleet(id_: str, *bad: Finding, size: int = 6) -> Result:
    """A result about six trainers, of which some have these findings and the others pass."""
    named = {one.labels.get("node") for one in bad}
    fine = [about(f"trainer-{n}", PASS) for n in range(1, size + 1) if f"trainer-{n}" not in named]
    return result(id_, *bad, *fine)


def one(*results: Result):
    """The only cause that these results carry."""
    (cause,) = find_causes(results)
    return cause


SLOW = fleet("consensus.round-duration", about("trainer-2", WARN), about("trainer-4", WARN))


def link(a: str, b: str) -> Finding:
    """A connection of a that breaks, b at the other end."""
    return about(a, WARN, "the link may flap", 12.0, peer=b)


def test_slow_rounds_point_to_the_one_link():
    """Two slow nodes whose connection does not last: the link is named, with what it rests on."""
    cause = one(
        SLOW, fleet("peers.connection-duration", link("trainer-2", "trainer-4"), link("trainer-4", "trainer-2"))
    )
    assert cause.statement.startswith("Rounds are slow because of the link trainer-2 ↔ trainer-4")
    assert cause.because[:2] == (
        "peers.connection-duration trainer-2:9091",
        "peers.connection-duration trainer-4:9091",
    )
    assert "consensus.round-duration trainer-2:9091" in cause.because
    assert cause.next == "ssh trainer-2 ping -c 10 trainer-4"


def test_one_slow_leader_at_one_end_of_a_link_is_enough():
    """By the log alone (no slow gauge), the leader and its young connection name the link."""
    leaders = result("consensus.slow-leaders", Finding("trainer-2", WARN, "", 0.9, labels={"node": "trainer-2"}))
    cause = one(leaders, fleet("peers.connection-duration", link("trainer-2", "trainer-4")))
    assert "trainer-2 ↔ trainer-4" in cause.statement


def test_several_links_name_none():
    """Two links that would fit equally well are no cause: the findings do not tell which."""
    links = fleet("peers.connection-duration", link("trainer-2", "trainer-1"), link("trainer-4", "trainer-5"))
    assert find_causes([SLOW, links]) == ()


def test_a_flapping_link_elsewhere_is_not_blamed():
    """A link between nodes that are not slow is not why others are."""
    assert find_causes([SLOW, fleet("peers.connection-duration", link("trainer-1", "trainer-6"))]) == ()


@pytest.mark.parametrize(
    ("check", "verdict", "says"),
    [
        ("capacity.memory", FAIL, "trainer-4 is out of memory"),
        ("capacity.memory", WARN, "trainer-4 is short of memory"),
        ("capacity.cpu", FAIL, "trainer-4 has no processor time to spare"),
        ("capacity.disk", FAIL, "trainer-4 has a full disk"),
        ("nodes.clock", FAIL, "trainer-4 has a wrong clock"),
    ],
)
def test_slow_rounds_point_to_the_machine_at_its_limit(check, verdict, says):
    """A slow node whose machine is at a limit is named with the limit and the command that shows it."""
    cause = one(SLOW, fleet(check, about("trainer-4", verdict)))
    assert cause.statement == f"Rounds are slow because {says}"
    assert f"{check} trainer-4:9091" in cause.because
    assert cause.next.startswith("ssh trainer-4 ")


def test_a_machine_at_its_limit_elsewhere_is_not_blamed():
    """A full node that is not slow does not explain those that are."""
    assert find_causes([SLOW, fleet("capacity.memory", about("trainer-1", FAIL))]) == ()


def test_slow_rounds_of_one_leader():
    """When nothing else is known of the leader of the slow rounds, that alone is said."""
    leaders = result("consensus.slow-leaders", Finding("trainer-3", WARN, "", 0.9, labels={"node": "trainer-3"}))
    assert one(leaders, SLOW).statement == "Rounds are slow when trainer-3 leads them: the others lead theirs in time"


def test_byzantine_node_is_named_with_what_fails():
    """The accused is named; failing rounds are tied to it; a report without a name names nobody."""
    accused = about("trainer-3", FAIL, "the node is taken for Byzantine by trainer-1 and trainer-2", 2.0)
    assert one(fleet("consensus.byzantine", accused)).statement.startswith(
        "trainer-3 votes against the protocol: 2 nodes"
    )
    failing = fleet("consensus.failed-rounds", about("trainer-1", FAIL))
    assert one(fleet("consensus.byzantine", accused), failing).statement.startswith("Rounds fail because trainer-3")
    unnamed = about("trainer-1", FAIL, "the node takes others for Byzantine, without naming them", 1.0)
    assert find_causes([fleet("consensus.byzantine", unnamed)]) == ()


def test_nodes_that_are_cut_off():
    """Nodes without peers whose rounds fail are cut off; when rounds fail everywhere, that is not why."""
    lonely = fleet("peers.count", about("trainer-1", WARN), about("trainer-2", WARN), size=12)
    failing = fleet("consensus.failed-rounds", about("trainer-1", FAIL), about("trainer-2", FAIL), size=12)
    assert one(lonely, failing).statement == (
        "Rounds fail because trainer-1 and trainer-2 are cut off from the rest of the mesh"
    )
    everywhere = result("consensus.failed-rounds", *(about(f"trainer-{n}", FAIL) for n in range(12)))
    assert find_causes([lonely, everywhere]) == ()


def test_leader_churn_explains_failing_rounds_and_is_explained_by_a_restart():
    """Churn alone is no cause; with failing rounds it is one, with one restarting node it has one."""
    churn = result("consensus.leader-elections", Finding("mesh", WARN, "leaders change", 30.0))
    assert find_causes([churn]) == ()
    failing = fleet("consensus.failed-rounds", about("trainer-1", FAIL))
    assert one(churn, failing).statement == "Rounds fail because the leader changes all the time"
    restarted = fleet("nodes.restarted", about("trainer-5", WARN))
    assert one(churn, restarted).statement == "Leaders change too often because trainer-5 has restarted"


def test_a_node_that_is_down_explains_what_the_others_miss():
    """One dead node explains its neighbours' few peers."""
    down = fleet("nodes.up", about("trainer-5", FAIL, "down"))
    cause = one(down, fleet("peers.count", about("trainer-1", WARN), about("trainer-5", WARN)))
    assert cause.statement == "trainer-5 is down, and that is why others have too few peers"
    assert cause.because == ("nodes.up trainer-5:9091", "peers.count trainer-1:9091")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("the node is down", "trainer-5 is down"),
        ("the node is down: dial tcp 10.0.0.5:9091: connect: connection refused", ": its port refuses connections"),
        ("the node is down: context deadline exceeded", ": it does not answer in time"),
        ("the node is down: node page at http://10.0.0.5: the host name is unknown", ": its host name is unknown"),
        ("the node is down: server returned HTTP status 500", ": its metrics page answers with an error"),
    ],
)
def test_a_node_that_nobody_misses_is_named_too(message, said):
    """A dead node is a cause of its own, with the alert about it and what is known of why; a link is another."""
    alert = Finding("MeshNodeDown trainer-5:9091", FAIL, "is firing", labels={"instance": "trainer-5:9091"})
    link_alert = Finding("Other trainer-1:9091", FAIL, "is firing", labels={"instance": "trainer-1:9091"})
    down = fleet("nodes.up", about("trainer-5", FAIL, message))
    flapping = fleet("peers.connection-duration", link("trainer-2", "trainer-4"), link("trainer-4", "trainer-2"))
    first, second = find_causes([result("alerts.critical", alert, link_alert), down, SLOW, flapping])
    assert first.statement.startswith("trainer-5 is down") and first.statement.endswith(said)
    assert first.because == ("nodes.up trainer-5:9091", "alerts.critical MeshNodeDown trainer-5:9091")
    assert first.next.startswith("ssh trainer-5 ")
    assert "trainer-2 ↔ trainer-4" in second.statement


def test_most_of_a_mesh_and_unknown_targets_are_not_blamed_one_by_one():
    """Many nodes that are down are no cause by themselves, nor is one that Prometheus was never told of."""
    many = [about(f"trainer-{n}", FAIL, "the node is down") for n in range(1, 5)]
    assert find_causes([fleet("nodes.up", *many, size=20)]) == ()
    assert find_causes([fleet("nodes.up", *many[:3], size=5)]) == ()
    unknown = about("trainer-5", FAIL, "the node is configured, but the metrics source has no target for it")
    assert find_causes([fleet("nodes.up", unknown)]) == ()


def test_a_restart_for_want_of_memory_and_a_learner_at_its_limit():
    """Restart and memory of the same node belong together, and so do a stalled learner and its full disk."""
    restarted = fleet("nodes.restarted", about("trainer-3", WARN))
    memory = fleet("capacity.memory", about("trainer-3", FAIL))
    assert one(restarted, memory).statement == "trainer-3 most likely restarted for want of memory"
    stalled = fleet("learning.training-progress", about("trainer-6", FAIL))
    disk = fleet("capacity.disk", about("trainer-6", FAIL))
    assert one(stalled, disk).statement == "trainer-6 is behind in training because it has a full disk"


def test_one_bad_model_is_told_from_bad_training():
    """A model that is bad on one learner alone points there; bad everywhere, it does not."""
    low = fleet("learning.accuracy", about("trainer-2", WARN))
    odd = fleet("learning.accuracy-spread", about("trainer-2", WARN))
    assert "on trainer-2 alone" in one(low, odd).statement
    everywhere = result("learning.accuracy", *(about(f"trainer-{n}", WARN) for n in range(1, 7)))
    assert find_causes([everywhere, odd]) == ()


def test_errors_in_the_log_of_a_node_in_trouble():
    """The log of the node in trouble is pointed to; that of another is not."""
    stalled = fleet("learning.training-progress", about("trainer-6", FAIL))
    mine = result("logs.errors", Finding("trainer-6", FAIL, "", 120.0, labels={"node": "trainer-6"}))
    other = result("logs.errors", Finding("trainer-1", FAIL, "", 120.0, labels={"node": "trainer-1"}))
    assert one(stalled, mine).statement.startswith("trainer-6 logs errors")
    assert find_causes([stalled, other]) == ()


def test_broken_monitoring_is_not_a_broken_mesh():
    """With Prometheus down, it is said whether the nodes were asked instead."""
    stack = result("stack.prometheus", Finding("http://localhost:9090", FAIL, "connection refused"),
                   evidence=(Evidence("Prometheus", "curl -sS http://localhost:9090/-/ready"),))  # fmt: skip
    waiting = result("nodes.up", verdict=UNKNOWN, because="stack.prometheus")
    cause = one(stack, waiting)
    assert cause.statement.startswith("Nothing is known of the mesh because Prometheus does not answer")
    assert cause.next == "meshdiag health --direct asks the nodes themselves"
    asked = one(stack, fleet("nodes.up"))
    assert asked.statement.startswith("It is the monitoring that is broken, not the nodes")
    assert asked.next == "curl -sS http://localhost:9090/-/ready"


def test_with_prometheus_and_the_nodes_silent_nothing_is_called_well():
    """Who asked the nodes and had no answer is not told that the mesh may be well, nor to ask the nodes."""
    stack = result("stack.prometheus", Finding("prometheus", FAIL, "connection refused"))
    history = result("consensus.leader-elections", verdict=UNKNOWN, because="stack.prometheus")
    down = [Finding(f"10.0.0.{n}:9091", FAIL, "down", labels={"node": f"trainer-{n}"}) for n in range(6)]
    cause = one(stack, history, result("nodes.up", *down))
    assert cause.statement.startswith("Neither Prometheus nor the nodes answer this machine")
    assert cause.next == "ping -c 3 10.0.0.0"
    assert one(result("nodes.up", *down)).statement.startswith("Hardly any node answers this machine")
    alone = one(stack, history, result("nodes.up", down[0], *(about(f"n{n}", PASS) for n in range(5))))
    assert alone.statement == "trainer-0 is down"


def test_where_nobody_answers_the_addresses_are_looked_at_first():
    """A first run without a mesh or a configuration ends with what to do about it."""
    stack = result("stack.prometheus", Finding("prometheus", FAIL, "connection refused"))
    nobody = result("nodes.up", verdict=UNKNOWN)
    cause = one(stack, nobody, result("capacity.cpu", verdict=UNKNOWN))
    assert cause.statement == "Neither Prometheus nor any node answers at the addresses in use"
    assert "meshdiag config show" in cause.next and "meshdiag demo" in cause.next


def test_all_nodes_down_or_old_at_once_is_the_way_to_them():
    """A whole fleet that vanishes is a network or a scraper, and one that is old is not scraped."""
    down = result("nodes.up", *(about(f"trainer-{n}", FAIL) for n in range(6)))
    stack = result("stack.prometheus", verdict=PASS)
    assert one(stack, down).statement.startswith("Nearly all nodes went down together")
    old = result("nodes.scrape-age", *(about(f"trainer-{n}", FAIL) for n in range(6)))
    assert one(old).statement.startswith("Prometheus no longer reads the nodes")


def test_a_hostile_name_is_not_put_into_a_command():
    """A node name with shell syntax, or that looks like an option, never gets into what a person will paste."""
    for name in ("x; rm -rf /", "$(reboot)", "-oProxyCommand=evil", "a\nb"):
        cause = one(fleet("consensus.round-duration", about(name, WARN)), fleet("capacity.memory", about(name, FAIL)))
        assert cause.next == "meshdiag health --only capacity.memory --explain"


def test_a_healthy_report_has_no_cause():
    """Where everything passes or is skipped, nothing is explained."""
    assert find_causes([]) == ()
    assert find_causes([fleet(id_) for id_ in all_checks()]) == ()
    assert find_causes([result(id_, verdict=SKIP) for id_ in all_checks()]) == ()


def test_every_check_that_a_cause_names_exists():
    """The ids that causes look for are ids of checks."""
    from meshdiag.causes import consensus, nodes, stack

    looked_for = {*consensus.SLOW, *consensus.FAILING, *consensus.SATURATION, *nodes.MISSED, stack.PROMETHEUS,
                  "peers.connection-duration", "peers.latency", "consensus.byzantine", "consensus.leader-elections",
                  "nodes.up", "nodes.restarted", "nodes.scrape-age", "capacity.memory-trend",
                  "logs.errors"}  # fmt: skip
    assert looked_for <= set(all_checks())


def test_names_are_listed_as_a_person_would():
    """One, two, three, then a count."""
    assert [listed("abcde"[:n]) for n in range(6)] == ["", "a", "a and b", "a, b and c", "a, b, c and 1 more",
                                                       "a, b, c and 2 more"]  # fmt: skip


FINDING = st.builds(
    Finding,
    subject=st.sampled_from(["trainer-1:9091", "trainer-2:9091", "mesh", ""]),
    verdict=st.sampled_from(list(Verdict)),
    message=st.text(max_size=10),
    value=st.none() | st.floats(),
    labels=st.dictionaries(st.sampled_from(["node", "peer", "role"]), st.sampled_from(["trainer-1", "t-2", ""])),
)


@given(st.dictionaries(st.sampled_from(sorted(all_checks())), st.lists(FINDING, max_size=4), max_size=12))
def test_a_cause_rests_on_findings_that_went_wrong(found):
    """Whatever the findings, no cause raises, and each names only checks that did not pass."""
    results = [result(id_, *findings) for id_, findings in found.items()]
    clues = Clues.of(results)
    for explainer in all_causes():
        cause = explainer.explain(clues)
        if cause is None:
            continue
        assert cause.statement and cause.next and cause.because
        for reference in cause.because:
            id_ = reference.split(" ")[0]
            assert clues.results[id_].verdict is not PASS or id_ == "nodes.up"


ANSWERS = "its page answers, but Prometheus could not read it at its last scrape"


def test_a_node_whose_page_answers_is_not_down():
    """It is the scrape path: the node that Prometheus calls down is cleared by its own page."""
    cause = one(
        fleet("nodes.up", about("trainer-2", FAIL, "the node is down: timeout", 0.0)),
        fleet("stack.scrape-truth", about("trainer-2", FAIL, ANSWERS)),
    )
    assert cause.statement.startswith("It is the scrape path, not the mesh")
    assert "trainer-2" in cause.statement
    assert cause.because == ("stack.scrape-truth trainer-2:9091", "nodes.up trainer-2:9091")
    assert cause.next.startswith("meshdiag nodes --witness")


def test_a_node_that_is_really_down_stays_so_beside_it():
    """Of two nodes that Prometheus cannot read, only the one whose page answers is cleared."""
    causes = find_causes(
        (
            fleet("nodes.up", about("trainer-2", FAIL, "timeout", 0.0), about("trainer-3", FAIL, "refused", 0.0)),
            fleet("stack.scrape-truth", about("trainer-2", FAIL, ANSWERS)),
        )
    )
    assert [cause.statement.split(":")[0] for cause in causes] == [
        "It is the scrape path, not the mesh",
        "trainer-3 is down",
    ]


def test_a_broken_page_is_told_from_a_broken_way():
    """Prometheus refuses a page for one line: the node is not down, and it is not the scrape path either."""
    message = "it is not down: its page is broken, and Prometheus refuses all of it for one line: line 3: broken labels"
    cause = one(
        fleet("nodes.up", about("trainer-2", FAIL, "invalid", 0.0)),
        fleet("stack.scrape-truth", about("trainer-2", FAIL, message)),
    )
    assert cause.statement.startswith("trainer-2 is not down: a line of the metrics page is broken")
