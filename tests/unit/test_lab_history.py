"""History: the past that Prometheus is given goes over into the live pages."""

from __future__ import annotations

import io
import itertools

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from meshdiag.lab import JOB, LabOptions, simulate
from meshdiag.lab.alerting import active_alerts
from meshdiag.lab.history import LONGEST_STEP_S, MOST_SAMPLES, STEP_S, moments, write_history
from meshdiag.lab.nodes import ServedNode
from meshdiag.lab.pages import page
from meshdiag.lab.simulation import Mesh

ORIGIN = 1_795_000_000.0

Past = dict[tuple[str, str, frozenset[tuple[str, str]]], list[tuple[float, float]]]


def served(mesh: Mesh) -> list[ServedNode]:
    """Addresses for the nodes of a mesh that nobody serves."""
    return [
        ServedNode(node.name, node.role, f"{node.name}:9090", "", f"{node.name}:7000", not node.is_down)
        for node in mesh.nodes
    ]


def past(mesh: Mesh) -> Past:
    """The history of a mesh by name, node and own labels: pairs of time and value."""
    nodes = served(mesh)
    out = io.StringIO()
    write_history(out, mesh, nodes, JOB, active_alerts(mesh, nodes, JOB, ORIGIN), ORIGIN)
    found: Past = {}
    for line in out.getvalue().splitlines()[:-1]:
        key, value, moment = line.rsplit(" ", 2)
        name, _, labels = key.partition("{")
        pairs = dict(pair.split("=", 1) for pair in labels.rstrip("}").replace('"', "").split(","))
        node = pairs.pop("node", "")
        for target in ("instance", "job", "role", "peer_address"):
            pairs.pop(target, None)
        found.setdefault((name, node, frozenset(pairs.items())), []).append((float(moment), float(value)))
    return found


def test_history_is_openmetrics() -> None:
    """The text that promtool is handed parses with the reference parser, family by family."""
    mesh, _injected = simulate(LabOptions(nodes=4, history_s=120), ORIGIN)
    out = io.StringIO()
    write_history(out, mesh, served(mesh), JOB, [], ORIGIN)
    lines = out.getvalue().splitlines(keepends=True)
    samples = [line for line in lines if line.startswith("mesh_messages_per_second")]
    assert len(next(iter(parse_openmetrics("".join([*samples, "# EOF\n"])))).samples) == 4 * 5
    assert lines[-1] == "# EOF\n"


def test_live_pages_continue_history_without_a_jump() -> None:
    """The first live page, ten seconds on, carries on every series: counters grow by about their rate."""
    mesh, _injected = simulate(LabOptions(faults=("slow-consensus", "auth-storm")), ORIGIN)
    known = past(mesh)
    for node in mesh.nodes:
        live = parse_text(page(node, ORIGIN).render(ORIGIN + 10).decode())
        for family in live:
            for sample in family.samples:
                series = known.get((sample.name, node.name, frozenset(sample.labels.items())))
                if series is None:
                    continue
                (_before, previous), (_last, latest) = series[-2:]
                if family.type == "counter":
                    assert 0 <= sample.value - latest <= (latest - previous) + 2, sample
                elif "flap" not in sample.name and sample.labels.get("peer") is None:
                    assert abs(sample.value - latest) <= 0.2 * abs(latest) + 11, sample


def test_history_shows_the_onset_of_a_fault() -> None:
    """A value is healthy at the start of the hour and ill at its end; a dead node's series end, its up goes to 0."""
    mesh, injected = simulate(LabOptions(nodes=9, faults=("high-memory", "node-down")), ORIGIN)
    known = past(mesh)
    hit = {one.fault.name: one.nodes[0] for one in injected}
    memory = known["system_memory_usage_bytes", hit["high-memory"], frozenset()]
    assert memory[0][1] < 0.6 * 16 * 2**30 < 0.9 * 16 * 2**30 < memory[-1][1]
    dead = hit["node-down"]
    assert known["system_memory_usage_bytes", dead, frozenset()][-1][0] < ORIGIN - 20 * 60
    assert [value for _moment, value in known["up", dead, frozenset()]][:: len(memory) - 1] == [1.0, 0.0]


def test_alerts_have_been_active_since_the_fault_began() -> None:
    """ALERTS_FOR_STATE holds the true beginning, long enough ago for the rule to fire."""
    mesh, (injected,) = simulate(LabOptions(faults=("accuracy-drop",)), ORIGIN)
    known = past(mesh)
    labels = frozenset({("alertname", "ModelAccuracyDrop"), ("severity", "warning")})
    ((_moment, active_at), *_more) = known["ALERTS_FOR_STATE", injected.nodes[0], labels]
    assert ORIGIN - 26 * 60 < active_at < ORIGIN - 15 * 60
    states = {dict(key[2])["alertstate"] for key in known if key[0] == "ALERTS"}
    assert states == {"pending", "firing"}


def test_a_healthy_mesh_has_no_active_alert() -> None:
    """None of the mesh's rules holds while nothing is broken."""
    mesh, _injected = simulate(LabOptions(), ORIGIN)
    assert active_alerts(mesh, served(mesh), JOB, ORIGIN) == []


def test_the_past_is_bounded_however_large_the_mesh() -> None:
    """More series make history sparser, never so sparse that Prometheus would see holes, and bounded in all."""
    for series in (40, 4_000, 40_000, 80_000):
        times = moments(series, ORIGIN, 6 * 3_600.0)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert times[-1] == ORIGIN
        assert all(STEP_S - 1e-3 <= gap <= LONGEST_STEP_S + 1e-3 for gap in gaps)
        assert series * len(times) <= 1.1 * MOST_SAMPLES
    assert moments(40, ORIGIN, 3_600.0)[0] == ORIGIN - 3_600
