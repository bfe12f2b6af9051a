"""The nodes' metrics pages, held against the parsers of the field."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from meshdiag import catalog
from meshdiag.lab import LabOptions, simulate
from meshdiag.lab.faults import FAULTS
from meshdiag.lab.pages import page
from meshdiag.lab.simulation import Mesh

ORIGIN = 1_795_000_000.0
LINT_OF_THE_MESH_ITSELF = ("mesh_peer_count ", "security_cert_expiry_days ", "security_encryption_overhead_ms ")
"""Names that promtool would have otherwise; they are the mesh's own."""


@pytest.fixture(params=[(), tuple(FAULTS)], ids=["healthy", "every fault"])
def mesh(request: pytest.FixtureRequest) -> Mesh:
    """A mesh without faults, and one with all of them."""
    made, _injected = simulate(LabOptions(nodes=9, faults=request.param), ORIGIN)
    return made


def test_the_text_page_parses_and_is_of_a_real_size(mesh: Mesh) -> None:
    """Every node's page is valid text format with the catalog's types, about eight kilobytes."""
    for node in mesh.up:
        body = page(node, ORIGIN).render(ORIGIN)
        assert 6_000 < len(body) < 11_000
        families = {family.name: family for family in parse_text(body.decode())}
        assert families["consensus_rounds"].type == "counter"
        assert families["mesh_rpc_duration_seconds"].type == "histogram"
        assert all(family.documentation and family.samples for family in families.values())


def test_both_formats_say_the_same(mesh: Mesh) -> None:
    """The OpenMetrics page has the samples of the text page, name for name and value for value."""
    for node in mesh.up:
        text = parse_text(page(node, ORIGIN).render(ORIGIN).decode())
        openmetrics = parse_openmetrics(page(node, ORIGIN, openmetrics=True).render(ORIGIN).decode())
        assert _samples(text) == _samples(openmetrics)


def _samples(families: object) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families  # type: ignore[attr-defined]
        for sample in family.samples
    }


def test_promtool_has_nothing_to_say_but_of_the_mesh_s_own_names(mesh: Mesh) -> None:
    """The page passes 'promtool check metrics', the mesh's own metric names aside."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing (Debian package prometheus)")
        pytest.skip("promtool is not installed")
    body = page(mesh.up[-1], ORIGIN).render(ORIGIN)
    checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=30)
    complaints = checked.stderr.decode().splitlines()
    assert [line for line in complaints if not line.startswith(LINT_OF_THE_MESH_ITSELF)] == []


def test_a_missing_metric_is_missing_from_one_page_only() -> None:
    """The fault metric-missing takes the whole family from its node's page and from no other."""
    mesh, (injected,) = simulate(LabOptions(faults=("metric-missing",)), ORIGIN)
    name = catalog.VOTE_SUCCESS.name.encode()
    lacking = [node.name for node in mesh.nodes if name not in page(node, ORIGIN).render(ORIGIN)]
    assert lacking == list(injected.nodes)


def test_connections_name_their_peers_but_not_too_many() -> None:
    """A node tells the age of at most eight connections, each with the peer's name."""
    mesh, _injected = simulate(LabOptions(nodes=30), ORIGIN)
    names = {node.name for node in mesh.nodes}
    for node in mesh.nodes:
        series = node.family(catalog.CONNECTION_DURATION).series
        peers = [dict(one.labels)["peer"] for one in series]
        assert 0 < len(peers) <= 8
        assert set(peers) < names - {node.name}
