"""The mesh's log files: ``agent-mesh.log`` and ``consensus.log`` (text) and ``agent-mesh.json`` (NDJSON).

Records are a function of the mesh and the moment, like everything in the lab: those of the past are written at
the start, as far back as history goes (within bounds), and the live ones continue them. All nodes write into one
set of files, in the order in which things happened; a node whose clock is wrong stamps its records with its own time.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from meshdiag import catalog
from meshdiag.lab.signals import mix, unit_noise
from meshdiag.lab.simulation import TRAINING_ROUND_S, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshdiag.lab.rounds import Round
    from meshdiag.lab.simulation import Mesh, Node

SHORTEST_PAST_S = 1_800.0
"""However short history is: faults begin 25 minutes before the lab, and the log shows the onset."""
LONGEST_PAST_S = 6 * 3_600.0
MOST_LINES = 60_000
"""Of the past: what takes a second or two to write, so that a talkative mesh has a shorter one."""
SAMPLE_S = 120.0
SLOW_ROUND_S = 10.0
TICK_S = 0.5
TALKATIVE = 20
"""From so many nodes on, each writes the less the more there are, so that the log's rate stays the same."""


@dataclass(frozen=True, slots=True)
class Record:
    """One log record. ``moment`` is the true time; ``consensus`` holds the fields of a round, on its records."""

    moment: float
    level: str
    component: str
    node: str
    message: str
    consensus: dict[str, Any] | None = None


def add_ordinary_streams(mesh: Mesh) -> None:
    """Give every node the chatter of a healthy one."""
    calm = max(1.0, len(mesh.nodes) / TALKATIVE)
    for node in mesh.nodes:
        mesh.streams.append(Stream(node.name, "INFO", "network", 20 * calm, _heartbeat(node)))
        mesh.streams.append(Stream(node.name, "WARN", "network", 1_700 * calm, _full_queue))
        if catalog.TRAINING_ROUNDS.name in node.families:
            mesh.streams.append(Stream(node.name, "INFO", "learning", TRAINING_ROUND_S * calm, _training(node)))


def _heartbeat(node: Node) -> Callable[[float, int], str]:
    def say(moment: float, _number: int) -> str:
        peers = node.value(catalog.PEER_COUNT, moment)
        return f"heartbeat peers={peers:.0f} messages={node.value(catalog.MESSAGES, moment):.1f}/s"

    return say


def _full_queue(_moment: float, number: int) -> str:
    return f"gossip queue is {60 + number % 15} % full"


def _training(node: Node) -> Callable[[float, int], str]:
    def say(moment: float, _number: int) -> str:
        finished = node.value(catalog.TRAINING_ROUNDS, moment)
        return f"training round {finished:.0f} finished accuracy={node.value(catalog.ACCURACY, moment):.3f}"

    return say


def records(mesh: Mesh, after: float, until: float) -> list[Record]:
    """The records of ``after`` < moment <= ``until``, in the order of time; dead nodes write none."""
    found = [_round_record(one) for one in mesh.rounds.ended_between(after, until)]
    for place, stream in enumerate(mesh.streams):
        found += _stream_records(mesh, stream, place, after, until)
    found = [one for one in found if one.moment < mesh.node(one.node).down_since]
    found.sort(key=lambda one: one.moment)
    return found


def _round_record(one: Round) -> Record:
    outcome = "failed" if one.failed else "committed"
    slow = one.duration_s > SLOW_ROUND_S
    verb = "failed after" if one.failed else "took"
    message = f"round {one.number} {verb} {one.duration_s:.1f} s leader={one.leader}"
    consensus = {
        "round": one.number,
        "leader": one.leader,
        "duration_s": round(one.duration_s, 3),
        "phase": "prevote" if one.failed else "commit",
        "outcome": outcome,
        "votes": one.votes,
    }
    return Record(one.ended, "WARN" if slow or one.failed else "INFO", "consensus", one.leader, message, consensus)


def _stream_records(mesh: Mesh, stream: Stream, place: int, after: float, until: float) -> Iterator[Record]:
    """The records of one stream: one in each slot of ``every_s``, at a moment within it that the seed settles."""
    first = int(max(after, stream.since) // stream.every_s)
    shift = unit_noise(mesh.seed, place)
    for number in range(first - 1, int(until // stream.every_s) + 1):
        moment = (number + (shift + unit_noise(mesh.seed, place, number)) / 2) * stream.every_s
        if after < moment <= until and stream.since <= moment < stream.until:
            told = mix(mesh.seed, place, number) % 10_000
            message = stream.say(moment, told)
            yield Record(moment, stream.level, stream.component, stream.node, message)


def past_s(mesh: Mesh) -> float:
    """How far back the log goes: as history does, within bounds, and not beyond ``MOST_LINES`` at the rate at
    which the mesh writes when the lab begins."""
    asked_s = min(max(mesh.history_s, SHORTEST_PAST_S), LONGEST_PAST_S)
    if asked_s <= SHORTEST_PAST_S:
        return asked_s
    rate = len(records(mesh, mesh.origin - SAMPLE_S, mesh.origin)) / SAMPLE_S
    return max(SHORTEST_PAST_S, min(asked_s, MOST_LINES / max(rate, 1e-9)))


class Journals:
    """The open log files of a lab, and the task that goes on writing them."""

    def __init__(self, mesh: Mesh, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.mesh, self.clock = mesh, clock
        self.json = directory / "agent-mesh.json"
        self.text = directory / "agent-mesh.log"
        self.consensus = directory / "consensus.log"
        self._files: list[IO[str]] = []
        self._written = mesh.origin - past_s(mesh)
        self._task: asyncio.Task[None] | None = None

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """The three files: NDJSON, text, the consensus part of the text."""
        return (self.json, self.text, self.consensus)

    def start(self) -> None:
        """Write the past, then go on in the background."""
        self._files = [path.open("w", encoding="utf-8") for path in self.paths]
        self.write()
        self._task = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        """Stop writing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for file in self._files:
            file.close()

    def write(self) -> None:
        """Write what has happened since the last call."""
        now = self.clock()
        for record in records(self.mesh, self._written, now):
            self._write_one(record)
        self._written = now
        for file in self._files:
            file.flush()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(max(TICK_S, len(self.mesh.nodes) / 1_000))
            self.write()

    def _write_one(self, record: Record) -> None:
        node = self.mesh.node(record.node)
        ahead = node.clock_ahead_s if record.moment >= node.clock_wrong_since else 0.0
        stamp = timestamp(record.moment + ahead)
        as_json, as_text, as_consensus = self._files
        as_json.write(_json_line(record, stamp))
        line = f"{stamp} {record.level:<5} {record.component} node={record.node} {record.message}\n"
        as_text.write(line)
        if record.component == "consensus":
            as_consensus.write(line)


def _json_line(record: Record, stamp: str) -> str:
    fields: dict[str, Any] = {
        "ts": stamp,
        "level": record.level,
        "component": record.component,
        "node": record.node,
        "message": record.message,
    }
    if record.consensus is not None:
        fields["consensus"] = record.consensus
    return json.dumps(fields, separators=(",", ":")) + "\n"


def timestamp(moment: float) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-11-22T03:12:01.123Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
