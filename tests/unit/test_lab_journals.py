"""The log files of a lab: in order, without holes between past and present, in the formats of the mesh."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from meshdiag.lab import LabOptions, simulate
from meshdiag.lab.journals import LONGEST_PAST_S, MOST_LINES, SHORTEST_PAST_S, Journals, past_s, records, timestamp
from meshdiag.lab.simulation import Mesh

ORIGIN = 1_795_000_000.0
TEXT = re.compile(r"(\S+Z) (INFO |WARN |ERROR) (\w+) node=(\S+) (.+)")


def written(mesh: Mesh, directory: Path, until: float) -> Journals:
    """A lab's journals after having run from the origin to ``until``, written a few times in between."""
    now = [mesh.origin]
    journals = Journals(mesh, directory, clock=lambda: now[0])
    journals._files = [path.open("w", encoding="utf-8") for path in journals.paths]
    while now[0] <= until:
        journals.write()
        now[0] += 1.7
    for file in journals._files:
        file.close()
    return journals


def test_the_past_and_the_present_join_without_a_hole() -> None:
    """Records asked for in pieces are those asked for at once, none twice and none lost."""
    mesh, _injected = simulate(LabOptions(faults=("error-burst",)), ORIGIN)
    edges = [ORIGIN - 600, ORIGIN - 300.5, ORIGIN, ORIGIN + 0.25, ORIGIN + 60]
    pieces = [record for start, end in itertools.pairwise(edges) for record in records(mesh, start, end)]
    assert pieces == records(mesh, edges[0], edges[-1])


def test_the_three_files_tell_the_same_story(tmp_path: Path) -> None:
    """Every JSON record is a line of the text log, and the consensus log holds exactly the consensus lines."""
    mesh, _injected = simulate(LabOptions(faults=("byzantine",)), ORIGIN)
    journals = written(mesh, tmp_path, ORIGIN + 10)
    rows = [json.loads(line) for line in journals.json.read_text().splitlines()]
    lines = journals.text.read_text().splitlines()
    assert len(rows) == len(lines) > 1_000
    for row, line in zip(rows, lines, strict=True):
        match = TEXT.fullmatch(line)
        assert match is not None, line
        stamp, level, component, node, message = match.groups()
        told = (row["ts"], row["level"], row["component"], row["node"], row["message"])
        assert told == (stamp, level.strip(), component, node, message)
    consensus = journals.consensus.read_text().splitlines()
    assert consensus == [line for line, row in zip(lines, rows, strict=True) if row["component"] == "consensus"]
    assert any("byzantine" in line for line in consensus)


def test_lines_come_in_the_order_of_time_and_go_back_as_far_as_history(tmp_path: Path) -> None:
    """The log begins where history does and its stamps rise from line to line."""
    mesh, _injected = simulate(LabOptions(history_s=5_400), ORIGIN)
    journals = written(mesh, tmp_path, ORIGIN + 10)
    stamps = [line.split(" ", 1)[0] for line in journals.text.read_text().splitlines()]
    assert stamps == sorted(stamps)
    first = datetime.fromisoformat(stamps[0])
    assert first - datetime.fromtimestamp(ORIGIN - 5_400, UTC) < timedelta(seconds=30)


def test_the_past_of_the_log_has_bounds() -> None:
    """Never too short to show when a fault began, never so long or so full that the lab would be late."""
    assert past_s(simulate(LabOptions(history_s=60), ORIGIN)[0]) == SHORTEST_PAST_S
    assert SHORTEST_PAST_S < past_s(simulate(LabOptions(history_s=30 * 86_400), ORIGIN)[0]) <= LONGEST_PAST_S
    loud, _injected = simulate(LabOptions(nodes=200, history_s=86_400, faults=("error-burst", "byzantine")), ORIGIN)
    back_s = past_s(loud)
    assert len(records(loud, ORIGIN - 60, ORIGIN)) / 60 * back_s <= MOST_LINES * 1.2


def test_a_round_s_record_has_all_its_fields(tmp_path: Path) -> None:
    """Consensus records carry round, leader, duration, phase, outcome and votes."""
    mesh, _injected = simulate(LabOptions(faults=("consensus-failures",)), ORIGIN)
    journals = written(mesh, tmp_path, ORIGIN)
    rounds = [row["consensus"] for row in map(json.loads, journals.json.read_text().splitlines()) if "consensus" in row]
    assert all(set(one) == {"round", "leader", "duration_s", "phase", "outcome", "votes"} for one in rounds)
    failed = sum(one["outcome"] == "failed" for one in rounds[-600:])
    assert 0.7 < failed / 600 < 0.85


def test_a_wrong_clock_stamps_its_own_lines_only(tmp_path: Path) -> None:
    """With clock-skew the stamps of one node run two minutes ahead of the lines around them."""
    mesh, (injected,) = simulate(LabOptions(faults=("clock-skew",)), ORIGIN)
    journals = written(mesh, tmp_path, ORIGIN)
    rows = [json.loads(line) for line in journals.json.read_text().splitlines()]
    latest = {row["node"]: row["ts"] for row in rows}
    assert {node for node, stamp in latest.items() if stamp > timestamp(ORIGIN + 30)} == set(injected.nodes)


def test_a_large_mesh_logs_no_more_than_a_small_one() -> None:
    """The log's rate stays bounded, however many nodes write it."""
    counts = {}
    for nodes in (20, 2_000):
        mesh, _injected = simulate(LabOptions(nodes=nodes), ORIGIN)
        counts[nodes] = len(records(mesh, ORIGIN - 600, ORIGIN))
    assert counts[2_000] < 1.5 * counts[20]
