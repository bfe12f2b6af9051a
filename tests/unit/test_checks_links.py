"""The checks of links: what the nodes see of each other becomes a few sentences that name the right end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from meshdiag.checks.inputs import Inputs
from meshdiag.checks.readings.links import MOST_PAIRS, SAMPLED, exporter_of, read_links, ring, target_of
from meshdiag.checks.readings.roster import Node
from meshdiag.context import Blackbox, CheckSettings, Context, NodeAddress
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Verdict
from meshdiag.sources import Sources
from meshdiag.views.matrix import MatrixView
from tests.unit.links import REFUSED, TIMEOUT, Exporters, known_mesh, names, refused
from tests.unit.memory_metrics import NOW, ask

if TYPE_CHECKING:
    from meshdiag.checks import Outcome

FAST, SLOW = 0.001, 0.090


def inputs(exporters: Exporters, count: int = 5, **more: Any) -> Inputs:
    """What a view is handed."""
    options = {"context": Context(), "now": NOW, "window": timedelta(hours=1), "chosen_metrics": known_mesh(count)}
    blackbox: Any = exporters
    return Inputs(sources=Sources(blackbox=blackbox), **(options | more))  # type: ignore[arg-type]


async def judged(id_: str, exporters: Exporters, count: int = 5, **more: Any) -> Outcome:
    """What a check says of a mesh that these exporters look at."""
    blackbox: Any = exporters
    memory = more.pop("memory", None) or known_mesh(count)
    return await ask(id_, memory, sources=Sources(blackbox=blackbox), **more)


def bad(outcome: Outcome) -> list[tuple[str, Verdict, str]]:
    """The findings that need somebody: of whom, how bad, what."""
    return [
        (one.labels.get("node", one.subject), one.verdict, one.message)
        for one in outcome.findings
        if one.verdict not in (Verdict.PASS, Verdict.SKIP)
    ]


@pytest.mark.parametrize("id_", ["links.reachability", "links.symmetry", "links.loss", "links.latency"])
async def test_a_mesh_in_which_all_is_well_passes(id_: str) -> None:
    """Every check passes and says what it looked at; the evidence asks an exporter again."""
    outcome = await judged(id_, Exporters())
    assert not bad(outcome) and {one.verdict for one in outcome.findings} == {Verdict.PASS}
    assert outcome.summary and outcome.evidence[0].command.startswith("probe http://n")


async def test_a_partition_is_told_by_its_members() -> None:
    """Two nodes see each other and nobody else: one finding names both, and why nothing gets through."""
    away = {"n2", "n4"}
    exporters = Exporters(lambda one, other: FAST if (one in away) is (other in away) else TIMEOUT)
    outcome = await judged("links.reachability", exporters)
    assert bad(outcome) == [
        ("n2 and n4", Verdict.FAIL, "see each other and nobody else (no answer in time: packets are dropped)")
    ]
    assert "packets are dropped" in outcome.summary and len(outcome.evidence) == 5
    for other in ("links.symmetry", "links.loss", "links.latency"):
        assert not bad(await judged(other, exporters))


async def test_a_closed_port_is_no_partition() -> None:
    """Everybody is refused by a node that reaches all: its process, not the network; a dead one is told as such."""
    exporters = Exporters(lambda _one, other: REFUSED if other == "n3" else FAST)
    outcome = await judged("links.reachability", exporters)
    ((name, verdict, message),) = bad(outcome)
    assert (name, verdict) == ("n3", Verdict.FAIL)
    assert message.startswith("nobody reaches it, though it reaches others (connection refused")
    assert "listens" in outcome.hint
    down = await judged("links.reachability", exporters, memory=known_mesh(5, down=("n3",)))
    assert "its metrics page does not answer either" in bad(down)[0][2]


async def test_a_view_that_nobody_tells_is_unknown_and_not_cut_off() -> None:
    """An exporter that is not there says nothing about its node, which the others reach."""
    outcome = await judged("links.reachability", Exporters(silent={"n2": refused("n2")}))
    assert bad(outcome) == [
        ("n2", Verdict.UNKNOWN, "what it reaches is unknown: blackbox_exporter at http://n2:9115/probe: "
         "connection refused")
    ]  # fmt: skip
    assert "exporter" in outcome.hint
    assert not bad(await judged("links.latency", Exporters(silent={"n2": refused("n2")})))


async def test_without_any_exporter_one_sentence_says_what_to_install() -> None:
    """All are silent: UNKNOWN, how many were asked, what to do, and which command looks from here."""
    exporters = Exporters(silent={name: refused(name) for name in names(5)})
    with pytest.raises(SourceError) as caught:
        await judged("links.reachability", exporters)
    assert "asked 5" in caught.value.message and "connection refused" in caught.value.message
    assert "prometheus-blackbox-exporter" in caught.value.hint and "meshdiag peers" in caught.value.hint
    assert (await MatrixView().table(inputs(exporters))).rows == ()


async def test_a_module_that_no_exporter_knows_keeps_its_own_advice() -> None:
    """Where all refuse for a reason of their own, installing exporters is no help."""
    wrong = SourceError("it knows no module called 'x'", trouble=Trouble.REJECTED, hint="name one of its blackbox.yml")
    with pytest.raises(SourceError) as caught:
        await judged("links.latency", Exporters(silent=dict.fromkeys(names(5), wrong)))
    assert caught.value.hint == "name one of its blackbox.yml"


async def test_a_link_that_works_one_way_is_named_with_that_way() -> None:
    """n1 does not reach n2, which reaches it: the mesh is in one piece, and the link is not alike both ways."""
    exporters = Exporters(lambda one, other: TIMEOUT if (one, other) == ("n1", "n2") else FAST)
    (subject, verdict, message), *others = bad(await judged("links.symmetry", exporters))
    assert (subject, verdict) == ("n2 -> n1", Verdict.FAIL) and not others
    assert message.startswith("works this way alone")
    assert not bad(await judged("links.reachability", exporters))


async def test_a_link_that_is_slow_one_way_is_named_with_its_way() -> None:
    """Ninety times slower there than back is a warning with both times."""
    exporters = Exporters(lambda one, other: SLOW if (one, other) == ("n1", "n2") else FAST)
    outcome = await judged("links.symmetry", exporters)
    assert bad(outcome) == [("n1 -> n2", Verdict.WARN, "takes 90 times as long as the way back (1 ms)")]
    assert bad(await judged("links.symmetry", exporters, settings=CheckSettings(options={"times": 100}))) == []


async def test_a_link_broken_both_ways_is_a_failure_of_the_link() -> None:
    """The two cannot talk though others reach both."""
    exporters = Exporters(lambda one, other: TIMEOUT if {one, other} == {"n1", "n2"} else FAST)
    ((subject, verdict, message),) = bad(await judged("links.reachability", exporters))
    assert (subject, verdict) == ("n1 -- n2", Verdict.FAIL) and "nor the other way round" in message


async def test_a_node_that_is_slow_from_everybody_is_named_once() -> None:
    """Not its eight directions one by one; the value is theirs, the bound is the fleet's."""
    exporters = Exporters(lambda one, other: SLOW if "n3" in (one, other) else FAST)
    outcome = await judged("links.latency", exporters)
    assert bad(outcome) == [("n3", Verdict.WARN, "slow from and to everybody: 90 times the fleet's median (1 ms)")]
    (finding,) = outcome.findings
    assert finding.value == SLOW and finding.threshold is not None
    assert finding.threshold.warn is not None and finding.threshold.warn.high == pytest.approx(0.011)


async def test_one_slow_link_is_named_by_its_ends_and_a_very_slow_one_fails() -> None:
    """The worse direction of the link, once."""
    for slow, verdict in ((SLOW, Verdict.WARN), (1.5, Verdict.FAIL)):
        exporters = Exporters(lambda one, other, slow=slow: slow if {one, other} == {"n1", "n2"} else FAST)
        ((subject, found, _),) = bad(await judged("links.latency", exporters))
        assert subject in ("n1 -> n2", "n2 -> n1") and found is verdict


async def test_a_mesh_that_is_slow_as_a_whole_is_told_as_a_whole() -> None:
    """Where the median is beyond the bound no link stands out."""
    ((subject, verdict, message),) = bad(await judged("links.latency", Exporters(lambda *_: 0.4)))
    assert (subject, verdict) == ("mesh", Verdict.WARN) and "half of all directions" in message


async def test_lost_packets_are_a_loss_and_no_latency() -> None:
    """A connect that took a second and a little was sent again; a node whose links all lose is named itself."""
    one_link = Exporters(lambda one, other: 1.002 if (one, other) == ("n1", "n2") else FAST)
    ((subject, verdict, message),) = bad(await judged("links.loss", one_link))
    assert (subject, verdict) == ("n1 -> n2", Verdict.WARN) and "took a second longer" in message
    assert not bad(await judged("links.latency", one_link)) and not bad(await judged("links.symmetry", one_link))
    everywhere = {(name, "n3"): (1, 1) for name in names(5) if name != "n3"}
    ((subject, _, message),) = bad(await judged("links.loss", Exporters(lost=everywhere)))
    assert subject == "n3" and "4 of the 4 directions to it" in message and "of 12 probes 4 got no answer" in message


async def test_what_cannot_be_told_is_skipped_or_unknown_never_a_pass() -> None:
    """A moment in the past cannot be probed; nothing answered is unknown."""
    past = await judged("links.reachability", Exporters(), at=NOW)
    assert past.verdict is Verdict.SKIP and "present" in past.summary
    nothing = Exporters(lambda *_: TIMEOUT)
    for id_ in ("links.latency", "links.loss"):
        assert {one.verdict for one in (await judged(id_, nothing)).findings} == {Verdict.UNKNOWN}
    with pytest.raises(SourceError, match="no node's peer address is known"):
        await judged("links.reachability", Exporters(), memory=known_mesh(3, peers=False))


async def test_one_probe_of_each_link_says_nothing_of_loss() -> None:
    """It is skipped with that reason, not passed."""

    class Once(Exporters):
        async def look(self, viewpoints: Any, module: str, *, count: int, timeout_s: float) -> Any:
            return await super().look(viewpoints, module, count=1, timeout_s=timeout_s)

    outcome = await judged("links.loss", Once())
    assert outcome.verdict is Verdict.SKIP and "--count" in outcome.summary


# what is probed --------------------------------------------------------------------------------------------------


def node(**more: Any) -> Node:
    """A node with a page, a name and a peer address."""
    return Node(**({"instance": "10.0.0.1:9091", "name": "n1", "peer": "10.9.0.1:4001"} | more))


def test_the_module_s_name_says_what_is_probed() -> None:
    """Peer addresses by TCP, hosts by ICMP, pages by HTTP; an unknown address gives none."""
    listed = {"10.0.0.1:9091": NodeAddress("https://10.0.0.1:9091/m", "10.0.0.1:9091")}
    assert target_of(node(), {}, "tcp_connect") == "10.9.0.1:4001"
    assert target_of(node(), {}, "icmp_v4") == "10.9.0.1"
    assert target_of(node(peer="[2001:db8::1]:4001"), {}, "icmp") == "2001:db8::1"
    assert target_of(node(peer=""), {}, "ping") == "10.0.0.1"
    assert target_of(node(), {}, "http_2xx") == "http://10.0.0.1:9091/metrics"
    assert target_of(node(), listed, "http_2xx") == "https://10.0.0.1:9091/m"
    assert target_of(node(peer=""), {}, "tcp_connect") == ""


def test_the_exporter_is_beside_the_node() -> None:
    """By the pattern and the page's host, IPv6 in brackets; its own address goes before; a hostile label gives none."""
    pattern = "http://{host}:9115"
    assert exporter_of(node(), {}, pattern) == "http://10.0.0.1:9115"
    assert exporter_of(node(instance="[2001:db8::1]:9091"), {}, pattern) == "http://[2001:db8::1]:9115"
    own = {"10.0.0.1:9091": NodeAddress("http://10.0.0.1:9091/m", "10.0.0.1:9091", blackbox="http://10.7.0.1:9000")}
    assert exporter_of(node(), own, pattern) == "http://10.7.0.1:9000"
    for hostile in ("evil/path?x=:1", "a b:1", "[broken:1", "user@host:1\n"):
        assert exporter_of(node(instance=hostile), {}, pattern).count("/") in (0, 2)


async def test_every_direction_is_asked_of_the_node_it_begins_at() -> None:
    """Nobody is asked about itself, and all begin with different targets, so that none is hit by all at once."""
    exporters = Exporters()
    links = await read_links(inputs(exporters))
    assert len(links.answers) == 20 == links.pairs and not links.sampled
    assert {one.url for one in exporters.asked} == {f"http://{name}:9115" for name in names(5)}
    assert len({one.targets[0] for one in exporters.asked}) == 5
    assert (exporters.module, exporters.count) == ("tcp_connect", 3)


async def test_a_large_mesh_is_sampled_both_ways_and_says_so() -> None:
    """Above so many directions a sample that hangs together is probed, both directions of each link, and noted."""
    view = MatrixView()
    await view.table(inputs(Exporters(), 60))
    links = view.links
    assert links is not None and links.sampled and links.pairs > MOST_PAIRS
    assert all(pair[::-1] in links.chosen for pair in links.chosen)
    assert len(links.chosen) <= SAMPLED
    (note,) = view.notes
    assert "of 3,540 directions were probed" in note and "--from" in note
    assert ring(names(60)) == ring(names(60))


async def test_rows_of_one_exporter_are_said_to_be_one_view() -> None:
    """Several nodes behind one address cannot tell of several places."""
    view = MatrixView()
    await view.table(inputs(Exporters(), context=Context(blackbox=Blackbox("http://probe.example:9115"))))
    assert view.notes == ("5 nodes have an exporter in common: their rows are one view of the mesh, not several",)


async def test_a_row_tells_a_direction_whole() -> None:
    """From, to, target, module, ok, seconds, trouble; what was not told is neither up nor down."""
    exporters = Exporters(
        lambda one, other: TIMEOUT if (one, other) == ("n1", "n2") else FAST, silent={"n3": refused("n3")}
    )
    table = await MatrixView().table(inputs(exporters))
    rows = {(row["from"], row["to"]): row for row in table.rows}
    assert table.shape == "matrix" and len(rows) == 20
    down = rows["n1", "n2"]
    assert (down["ok"], down["duration_s"], down["trouble"], down["verdict"]) == (False, None, "timeout", Verdict.FAIL)
    assert (rows["n2", "n1"]["target"], rows["n2", "n1"]["module"]) == ("n1:4001", "tcp_connect")
    unknown = rows["n3", "n1"]
    assert (unknown["ok"], unknown["verdict"]) == (None, Verdict.UNKNOWN)
    assert unknown["trouble"] == "no view: connection-refused"


async def test_a_command_may_choose_views_and_targets() -> None:
    """``wanted`` narrows by the labels of both ends; one direction alone says nothing of symmetry."""
    wanted = lambda labels: labels["from"] == "n1" and labels["to_role"] == "trainer"  # noqa: E731
    links = await read_links(inputs(Exporters(), wanted=wanted))
    assert {one for one, _ in links.answers} == {"n1"} and len(links.answers) == 4
    outcome = await judged("links.symmetry", Exporters(), wanted=wanted)
    assert outcome.verdict is Verdict.SKIP
