"""One look at all the certificates that are meant, shared by the checks and the table of a run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshdiag.checks.readings.certificates.commands import is_number, show_in_file, show_served
from meshdiag.checks.readings.certificates.places import PEER_PORT, Place, places_of
from meshdiag.checks.readings.naming import address_of, is_word, nodes_meant
from meshdiag.checks.readings.roster import Node
from meshdiag.context import CheckSettings
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Threshold, Verdict, at_least
from meshdiag.sources.resolving import split_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.certificates.judged import Judged
    from meshdiag.context import Context
    from meshdiag.sources.certificates.certificate import Found
    from meshdiag.sources.certificates.endpoints import Wanted

EXPIRY = "certs.expiry"
LASTING = Threshold(warn=at_least(30), fail=at_least(7))
"""Days that a certificate should have left."""
DEPEND_ON_ROOTS = frozenset({"untrusted-chain", "self-signed"})
WHOM = "whom the nodes trust is not known, and the system's roots do not vouch for it"


@dataclass(frozen=True, slots=True)
class Options:
    """What a command was told: servers and paths (neither: all that the context knows), the moment to judge for (None:
    now), days that should be left (None: as configured), the roots in a file, what opens PKCS#12 files; ``bare`` are
    the hosts of servers that were named without a port."""

    servers: tuple[Wanted, ...] = ()
    paths: tuple[str, ...] = ()
    at: datetime | None = None
    warn_days: float | None = None
    fail_days: float | None = None
    ca_file: Path | None = None
    password: bytes | None = field(default=None, repr=False)
    bare: frozenset[str] = frozenset()

    @property
    def named(self) -> bool:
        """Whether the user said where to look."""
        return bool(self.servers or self.paths)


CONTEXTS_OWN = Options()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look gave: every certificate judged, the most urgent first; what each server or file gave and what it is
    to the mesh, by address or path; which roots it was held against; the moment it was judged for, when the
    look began, and the days that should be left."""

    judged: tuple[Judged, ...]
    founds: Mapping[str, Found]
    places: Mapping[str, Place]
    roots: Mapping[str, Path | None]
    moment: datetime
    began: datetime
    lasting: Threshold

    def whose(self, judged: Judged) -> Place | None:
        """The node's place among those that have this certificate, else the first that is a server of the mesh."""
        known = [self.places[one] for one in (judged.source, *judged.places) if one in self.places]
        return next((one for one in known if one.instance), known[0] if known else None)

    def command(self, judged: Judged) -> str:
        """The command that shows a certificate again."""
        place = self.places.get(judged.source)
        if place is not None:
            return show_served(place.wanted, judged.position)
        return show_in_file(judged.source, self.founds[judged.source].kind, judged.position)


async def look(inputs: Inputs, options: Options = CONTEXTS_OWN) -> Seen:
    """The certificates, looked at once a run. Raises ``SourceError`` where there is nothing to look at."""
    return await inputs.memo.once(("certificates", options), lambda: _look(inputs, options))


async def _look(inputs: Inputs, options: Options) -> Seen:
    places, paths = await _where(inputs, options)
    served, held = await asyncio.gather(
        inputs.certificates.fetch([place.wanted for place in places]),
        inputs.certificates.read(paths, options.password),
    )
    lasting = _lasting(inputs, options)
    by_roots: dict[_Roots, list[Found]] = {}
    for place, found in zip(places, served, strict=True):
        roots = _Roots(options.ca_file or place.ca_file, peers=place.what == PEER_PORT)
        by_roots.setdefault(roots, []).append(known_by_name(found, place))
    if held:
        by_roots.setdefault(_Roots(options.ca_file or inputs.context.peer_ca_file), []).extend(held)
    moment = options.at or inputs.now
    judged = [one for roots, founds in by_roots.items() for one in await _judge(inputs, founds, roots, moment, lasting)]
    return Seen(
        tuple(by_urgency(merged(judged))),
        {found.source: found for founds in by_roots.values() for found in founds},
        {place.wanted.address: place for place in places},
        {found.source: roots.ca_file for roots, founds in by_roots.items() for found in founds},
        moment,
        inputs.now,
        lasting,
    )


async def _where(inputs: Inputs, options: Options) -> tuple[Sequence[Place], Sequence[str]]:
    """The servers and paths to look at. Raises ``SourceError`` where none is known."""
    if options.named:
        return await _named(inputs, options), options.paths
    nodes, failed = await known_nodes(inputs)
    places, paths = places_of(inputs.context, nodes), inputs.context.certificates
    if places or paths:
        return places, paths
    raise failed or SourceError(
        "no place of a certificate is known: no node tells a peer address, no address begins with https://",
        trouble=Trouble.NOT_CONFIGURED,
        source="certificates",
        hint="name them (meshdiag certs host:port cert.pem), or set peer of the nodes, or certificates of the context",
    )


async def _named(inputs: Inputs, options: Options) -> list[Place]:
    """The servers that the user named; those that belong to the mesh, by name or address, with what is known of them:
    a node's certificate is held against the roots that nodes trust however it is named."""
    context, hosts = inputs.context, [split_address(one.address)[0] for one in options.servers]
    nodes = _listed(context)
    if context.peer_ca_file or any(is_word(host) and not nodes_meant(host, nodes) for host in hosts):
        nodes = (await known_nodes(inputs))[0]
    known = {place.wanted.address: place for place in places_of(context, nodes)}
    found = []
    for wanted, host in zip(options.servers, hosts, strict=True):
        if node := next(iter(nodes_meant(host, nodes)), None):
            port = 0 if host in options.bare else split_address(wanted.address)[1]
            wanted = replace(wanted, address=address_of(node, port))
        place = known.get(wanted.address)
        if place is not None:
            pair = wanted.client_cert or place.wanted.client_cert
            found.append(replace(place, wanted=replace(wanted, client_cert=pair)))
        elif node is not None:
            found.append(Place(wanted, "", node.instance, node.name, node.role))
        else:
            found.append(Place(wanted))
    return list(dict.fromkeys(found))


def _listed(context: Context) -> tuple[Node, ...]:
    return tuple(Node(one.instance, one.name, one.role, peer=one.peer) for one in context.nodes)


async def known_nodes(inputs: Inputs) -> tuple[tuple[Node, ...], SourceError | None]:
    """The mesh's nodes as the first source of metrics that answers knows them, else as the configuration lists them;
    and why no source answered."""
    failed = None
    for metrics in inputs.sources.metrics:
        try:
            roster = await replace(inputs, chosen_metrics=metrics).roster()
        except SourceError as error:
            failed = failed or error
        else:
            return tuple(roster.nodes.values()), None
    return _listed(inputs.context), failed


def known_by_name(found: Found, place: Place) -> Found:
    """What a node gave that is asked by its number: a certificate may name the node instead, which is as good."""
    from meshdiag.sources.certificates.certificate import Certificate

    leaf = found.chain[0] if found.chain else None
    if not place.node or not isinstance(leaf, Certificate) or not is_number(found.host):
        return found
    return replace(found, host=place.node) if f"DNS:{place.node}" in leaf.sans else found


@dataclass(frozen=True, slots=True)
class _Roots:
    """The roots that something is held against: those in a file, or the system's. ``peers``: it is shown to nodes."""

    ca_file: Path | None
    peers: bool = False

    @property
    def guessed(self) -> bool:
        """Whether those who are meant to trust it may well trust other roots: nobody said whom the nodes trust."""
        return self.peers and self.ca_file is None


async def _judge(
    inputs: Inputs, founds: Sequence[Found], roots: _Roots, moment: datetime, lasting: Threshold
) -> tuple[Judged, ...]:
    from meshdiag.checks.readings.certificates.judging import judge

    trust = await inputs.certificates.trust(roots.ca_file)
    warn, fail = (bound.low if bound is not None else 0.0 for bound in (lasting.warn, lasting.fail))
    judged = judge(founds, at=moment, trust=trust, warn_days=warn, fail_days=fail)
    return tuple(map(unsure, judged)) if roots.guessed else judged


def unsure(judged: Judged) -> Judged:
    """The same where it is not known whom the nodes trust: that the system's roots do not lead to it is no fault."""
    problems = tuple(
        replace(one, verdict=Verdict.UNKNOWN, message=WHOM) if one.code in DEPEND_ON_ROOTS else one
        for one in judged.problems
    )
    return replace(
        judged, problems=problems, verdict=Verdict.worst([Verdict.PASS, *(problem.verdict for problem in problems)])
    )


def _lasting(inputs: Inputs, options: Options) -> Threshold:
    """The days that should be left: the flags' over those of the configuration over the defaults."""
    flags = CheckSettings(options.warn_days, options.fail_days)
    return flags.over(inputs.context.checks.get(EXPIRY, CheckSettings()).over(LASTING))


def merged(judged: Iterable[Judged]) -> list[Judged]:
    """The same certificate once, with all of its places and problems: it may have been held against several roots."""
    found: dict[object, Judged] = {}
    for one in judged:
        key = getattr(one.certificate, "sha256", None) or (one.source, one.position)
        known = found.get(key)
        found[key] = one if known is None else _joined(known, one)
    return list(found.values())


def _joined(first: Judged, other: Judged) -> Judged:
    problems = tuple(dict.fromkeys((*first.problems, *other.problems)))
    return replace(
        first,
        places=tuple(dict.fromkeys((*first.places, *other.places))),
        problems=problems,
        verdict=Verdict.worst((first.verdict, other.verdict)),
    )


def by_urgency(judged: Iterable[Judged]) -> list[Judged]:
    """The worst first; among equals the one that has the fewest days left."""
    return sorted(
        judged,
        key=lambda one: (-one.verdict.severity, one.days_left if one.days_left is not None else 0.0, one.source),
    )
