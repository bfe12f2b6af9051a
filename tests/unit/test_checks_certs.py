"""Checks of certificates: one question each, over what real TLS servers show, and two witnesses held together."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from meshdiag.causes import find_causes
from meshdiag.checks import all_checks
from meshdiag.checks.readings.certificates.commands import show_in_file
from meshdiag.checks.readings.certificates.gathering import LASTING, Options
from meshdiag.checks.readings.certificates.truth import judge_pair
from meshdiag.context import CheckSettings, Context, NodeAddress
from meshdiag.engine import Run, View, run_checks
from meshdiag.model import Result, Table, Threshold, Verdict, at_most
from meshdiag.sources import Sources
from meshdiag.sources.certificates.endpoints import Wanted
from meshdiag.sources.certificates.source import Certificates
from meshdiag.views.certs import CertsView
from tests.binaries import need
from tests.minting import Minted, authority, self_signed
from tests.tlsserver import server_context, tls_server
from tests.unit.memory_metrics import NOW, Memory

ROOT = authority("mesh root")
FINE = ROOT.issue("node", sans=["127.0.0.1"], days=(-1, 90))
SOON = ROOT.issue("node", sans=["127.0.0.1"], days=(-80, 3))
BARE = Context(prometheus=None, alertmanager=None, grafana=None, loki=None, jaeger=None, nodes=())


@contextlib.contextmanager
def mesh(*chains: Sequence[Minted], told: Sequence[float | None] = ()) -> Iterator[tuple[Memory, Context, list[str]]]:
    """Nodes that serve these chains on their peer ports, and what their metric tells; the memory that knows them, a
    context, and the addresses."""
    memory, addresses = Memory(), []
    with contextlib.ExitStack() as stack:
        for place, chain in enumerate(chains, 1):
            address = stack.enter_context(tls_server(server_context(chain)))
            instance, name = f"trainer-{place}:9091", f"trainer-{place}"
            memory.add("up", instance, 1, node=name, role="trainer", peer_address=address)
            if len(told) >= place and (days := told[place - 1]) is not None:
                memory.add("security_cert_expiry_days", instance, days)
            addresses.append(address)
        yield memory, BARE, addresses


async def ask(
    memory: Memory | None, context: Context, *ids: str, options: Options | None = None
) -> tuple[dict[str, Result], Table | None]:
    """What the checks say, and the table."""
    sources = Sources(metrics=(memory,) if memory else (), certificates=Certificates(2.0))  # type: ignore[arg-type]
    checks = [one for id_, one in all_checks().items() if id_ in ids or (not ids and id_.startswith("certs."))]
    view = View(CertsView(options or Options()).draw, needs=("certificates",))
    run = Run(context, sources, NOW, timedelta(hours=1))
    if options is not None:
        told = options
        checks = [replace(one, run=lambda inputs, run=one.run: run(inputs, options=told)) for one in checks]
    answers = await run_checks(checks, run, view=view)
    return {one.id: one for one in answers.results}, answers.table


def roots(folder: Path) -> Path:
    """The mesh's authority, in a file."""
    path = folder / "mesh-ca.pem"
    path.write_bytes(ROOT.pem)
    return path


async def test_a_healthy_mesh_passes_every_question(tmp_path: Path) -> None:
    """Certificates that last, name their host, lead to the mesh's root and are as the metric says pass all of them."""
    with mesh([FINE], [FINE], told=(90, 90)) as (memory, context, addresses):
        results, table = await ask(memory, replace(context, peer_ca_file=roots(tmp_path)))
    assert {id_: one.verdict for id_, one in results.items()} == dict.fromkeys(results, Verdict.PASS)
    assert set(results) == {
        "certs.readable", "certs.expiry", "certs.host", "certs.chain", "certs.strength", "certs.metric-truth",
    }  # fmt: skip
    assert table is not None
    (row,) = table.rows
    assert row["places"] == tuple(addresses)
    assert row["place"].endswith("and 1 more place")


async def test_each_fault_is_the_business_of_one_check(tmp_path: Path) -> None:
    """Ends soon, another host's, signed by a stranger: each fails its own question and passes the others."""
    strangers = authority("somebody else").issue("node", sans=["127.0.0.1"])
    other = ROOT.issue("node", sans=["elsewhere.example"])
    with mesh([SOON], [other], [strangers], [FINE]) as (memory, context, _addresses):
        results, _ = await ask(memory, replace(context, peer_ca_file=roots(tmp_path)))
    blamed = {
        id_: {f.labels.get("node") for f in one.findings if f.verdict is Verdict.FAIL} for id_, one in results.items()
    }
    assert blamed["certs.expiry"] == {"trainer-1"}
    assert blamed["certs.host"] == {"trainer-2"}
    assert blamed["certs.chain"] == {"trainer-3"}
    assert blamed["certs.strength"] == blamed["certs.readable"] == set()
    assert results["certs.expiry"].findings[0].unit == "days"


async def test_without_the_meshs_roots_it_is_not_known_whom_the_nodes_trust() -> None:
    """The system's roots do not vouch for a private authority: unknown with the key to set, neither pass nor fail."""
    with mesh([FINE], [self_signed("node", sans=["127.0.0.1"])]) as (memory, context, _addresses):
        results, _ = await ask(memory, context, "certs.chain", "certs.expiry")
    chain = results["certs.chain"]
    assert {one.verdict for one in chain.findings} == {Verdict.UNKNOWN}
    assert "peer_ca_file" in chain.hint
    assert results["certs.expiry"].verdict is Verdict.PASS


async def test_a_certificate_may_name_the_node_that_is_asked_by_number(tmp_path: Path) -> None:
    """A peer address is a number as a rule; a certificate for the node's name is the node's. Of two nodes that show it
    the other one is named, with the command that asks that one."""
    by_name = ROOT.issue("x", sans=["trainer-1"])
    with mesh([by_name], [by_name]) as (memory, context, addresses):
        results, _ = await ask(memory, replace(context, peer_ca_file=roots(tmp_path)), "certs.host")
    (found,) = results["certs.host"].findings
    assert (found.verdict, found.labels["node"]) == (Verdict.FAIL, "trainer-2"), "it shows the first one's"
    assert found.subject == addresses[1]
    assert "more place" not in found.message and not found.message.startswith("at ")
    assert addresses[1] in results["certs.host"].evidence[0].command


async def test_a_node_s_certificate_is_held_against_the_mesh_s_roots_however_it_is_named(tmp_path: Path) -> None:
    """By its name alone its peer port is meant; by its address it is the same node. Any other server goes by the
    system's roots."""
    with mesh([FINE], [FINE], [FINE]) as (memory, context, addresses):
        typed = (Wanted("trainer-1:443"), Wanted(addresses[1]))
        options = Options(typed, bare=frozenset({"trainer-1"}))
        results, table = await ask(
            memory, replace(context, peer_ca_file=roots(tmp_path)), "certs.chain", options=options
        )
        strangers, _ = await ask(memory, context, "certs.chain", options=Options((Wanted(addresses[2]),)))
    assert table is not None
    assert [row["places"] for row in table.rows] == [tuple(addresses[:2])]
    assert results["certs.chain"].verdict is Verdict.PASS
    assert strangers["certs.chain"].verdict is Verdict.FAIL


async def test_the_metric_is_held_against_the_wire(tmp_path: Path) -> None:
    """Metric ahead of a wire that ends: fail, not reloaded. Ahead, with time left: warn. Behind: warn, with another
    reason. No metric: one witness is none. A day apart is as good as equal."""
    chains = [[SOON], [FINE], [FINE], [FINE], [FINE]]
    with mesh(*chains, told=(41, 200, 3, None, 89.5)) as (memory, context, addresses):
        results, _ = await ask(memory, replace(context, peer_ca_file=roots(tmp_path)))
    truth = results["certs.metric-truth"]
    found = {one.labels["node"]: one for one in truth.findings}
    assert [found[f"trainer-{n}"].verdict for n in range(1, 6)] == [
        Verdict.FAIL, Verdict.WARN, Verdict.WARN, Verdict.UNKNOWN, Verdict.PASS,
    ]  # fmt: skip
    commands = " ".join(one.command for one in truth.evidence)
    assert addresses[0] in commands and addresses[4] not in commands, "of those that are well none is shown"
    assert (
        found["trainer-1"].message
        == "the metric says 41 days, the wire 3 days: the node has not reloaded what was renewed"
    )
    assert "not reloaded" in found["trainer-2"].message
    assert "another certificate" in found["trainer-3"].message
    assert "witness" in found["trainer-4"].message
    assert any("openssl s_client" in one.command for one in truth.evidence)
    (cause, *_) = find_causes(tuple(results.values()))
    assert cause.statement.startswith("trainer-1 and trainer-2 still serve the certificate from before the renewal")


def test_two_numbers_are_judged_by_their_distance_and_by_who_is_ahead() -> None:
    """Expired on the wire and fine in the metric is the worst there is; both expired alike is agreement."""
    day = Threshold(warn=at_most(1))
    assert judge_pair(41, -2, day, LASTING)[0] is Verdict.FAIL
    assert judge_pair(-2, -2.4, day, LASTING)[0] is Verdict.PASS
    verdict, message = judge_pair(0.1, 300, day, LASTING)
    assert verdict is Verdict.WARN
    assert message.startswith("the metric says 2 hours, the wire 300 days")


async def test_of_several_certificates_that_a_node_tells_of_the_nearest_counts(tmp_path: Path) -> None:
    """A node may tell of its client certificate as well: that one is not what its peer port shows."""
    with mesh([FINE], told=(90,)) as (memory, context, _addresses):
        memory.add("security_cert_expiry_days", "trainer-1:9091", 5, cert="client")
        results, _ = await ask(memory, replace(context, peer_ca_file=roots(tmp_path)), "certs.metric-truth")
    assert results["certs.metric-truth"].verdict is Verdict.PASS


async def test_a_node_that_shows_none_is_unknown_and_told_by_its_metric(tmp_path: Path) -> None:
    """No answer is unknown in the one check that is about answers; the metric's days are a row of their own."""
    with mesh([FINE], told=(90,)) as (memory, context, _addresses):
        memory.add("up", "trainer-9:9091", 1, node="trainer-9", role="trainer", peer_address="127.0.0.1:1")
        memory.add("security_cert_expiry_days", "trainer-9:9091", 5)
        results, table = await ask(memory, replace(context, peer_ca_file=roots(tmp_path)))
    verdicts = {id_: one.verdict for id_, one in results.items()}
    assert verdicts["certs.readable"] is verdicts["certs.metric-truth"] is Verdict.UNKNOWN
    assert verdicts["certs.expiry"] is verdicts["certs.chain"] is Verdict.PASS
    assert table is not None
    told = next(row for row in table.rows if row["kind"] == "metric")
    assert (told["node"], told["days_left"], told["verdict"]) == ("trainer-9", 5, Verdict.FAIL)
    refused = next(row for row in table.rows if row["source"] == "127.0.0.1:1")
    assert (refused["verdict"], refused["problems"], refused["days_left"]) == (Verdict.UNKNOWN, ("no-answer",), None)
    assert refused["matter"] == "connection refused"


async def test_where_nothing_can_be_read_one_check_says_so_for_all() -> None:
    """The others are folded under it: unknown, because of it."""
    options = Options(paths=("/nonexistent/x.pem",))
    results, _ = await ask(None, BARE, "certs.readable", "certs.expiry", "certs.chain", options=options)
    assert {one.verdict for one in results.values()} == {Verdict.UNKNOWN}
    assert results["certs.readable"].because is None
    assert results["certs.expiry"].because == results["certs.chain"].because == "certs.readable"


async def test_without_any_place_it_says_where_to_name_one() -> None:
    """A context that knows no certificate is unknown, with what to write."""
    results, table = await ask(Memory(), replace(BARE, nodes=()), "certs.expiry")
    assert results["certs.expiry"].verdict is Verdict.UNKNOWN
    assert table is None
    named, _ = await ask(None, BARE, "certs.expiry")
    assert "no place of a certificate is known" in named["certs.expiry"].summary


async def test_the_nodes_of_the_configuration_are_asked_when_no_metrics_answer(tmp_path: Path) -> None:
    """Certificates can be looked at while Prometheus and every node page are away."""
    with mesh([SOON]) as (_memory, context, (address,)):
        node = NodeAddress("http://127.0.0.1:1/metrics", "127.0.0.1:1", name="trainer-1", role="trainer", peer=address)
        listed = replace(context, nodes=(node,), peer_ca_file=roots(tmp_path))
        results, _ = await ask(None, listed, "certs.expiry")
    (found,) = results["certs.expiry"].findings
    assert (found.verdict, found.labels["node"]) == (Verdict.FAIL, "trainer-1")


async def test_days_are_those_of_the_flags_over_the_configuration(tmp_path: Path) -> None:
    """90 days pass by default, warn where 100 are configured, and fail where a flag wants 95; --at moves the moment."""
    with mesh([FINE]) as (memory, context, _addresses):
        plain = replace(context, peer_ca_file=roots(tmp_path))
        wanting = replace(plain, checks={"certs.expiry": CheckSettings(warn=100)})
        said = [
            (await ask(memory, one, "certs.expiry", options=options))[0]["certs.expiry"].verdict
            for one, options in (
                (plain, Options()),
                (wanting, Options()),
                (wanting, Options(fail_days=95)),
                (plain, Options(at=NOW + timedelta(days=70))),
                (plain, Options(at=NOW + timedelta(days=91))),
            )
        ]
    assert said == [Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.WARN, Verdict.FAIL]


async def test_one_certificate_that_is_wrong_at_many_places_is_one_short_sentence(tmp_path: Path) -> None:
    """Each place has words of its own for it; the first two are told, the others counted, and the code stands once."""
    other = ROOT.issue("node", sans=["elsewhere.example"])
    with mesh(*[[other]] * 5) as (_memory, context, addresses):
        typed = tuple(Wanted(address, f"n{place}.example") for place, address in enumerate(addresses))
        options = Options(typed, ca_file=roots(tmp_path))
        results, table = await ask(None, context, "certs.host", options=options)
    (found,) = results["certs.host"].findings
    assert found.verdict is Verdict.FAIL and table is not None
    assert found.message.count("it is not valid for") == 2 and found.message.endswith("and 3 more like that")
    assert table.rows[0]["problems"] == ("hostname-mismatch",)


async def test_the_same_certificate_held_against_two_roots_is_one_row(tmp_path: Path) -> None:
    """On a peer port and in a file it is listed once, with both places and the problems of either."""
    path = tmp_path / "node.pem"
    path.write_bytes(FINE.pem)
    with mesh([FINE]) as (memory, context, (address,)):
        _, table = await ask(memory, replace(context, certificates=(str(tmp_path / "*.pem"),)))
    assert table is not None
    (row,) = table.rows
    assert row["places"] == (address, str(path))
    assert "untrusted-chain" in row["problems"]


async def test_roots_that_nothing_leads_to_are_the_wrong_ones(tmp_path: Path) -> None:
    """Three nodes whose certificates are in order but for the roots they are held against: one cause, not three."""
    path = tmp_path / "other-ca.pem"
    path.write_bytes(authority("last year's root").pem)
    with mesh([FINE], [FINE], [FINE]) as (memory, context, _addresses):
        one, _ = await ask(memory, replace(context, peer_ca_file=path), "certs.chain")
    assert find_causes(tuple(one.values())) == (), "one certificate in three places is no proof"
    each = [ROOT.issue(f"node-{place}", sans=["127.0.0.1"]) for place in range(3)]
    with mesh(*([one] for one in each)) as (memory, context, _addresses):
        results, _ = await ask(memory, replace(context, peer_ca_file=path), "certs.chain")
    (cause,) = find_causes(tuple(results.values()))
    assert cause.statement.startswith("not one certificate leads to the roots in use")


async def test_a_look_back_does_not_pretend() -> None:
    """What a server showed yesterday cannot be asked today: skipped, with the reason."""
    with mesh([FINE]) as (memory, context, _addresses):
        sources = Sources(metrics=(memory,), certificates=Certificates(2.0))  # type: ignore[arg-type]
        run = Run(context, sources, NOW, timedelta(hours=1), NOW - timedelta(days=1))
        answers = await run_checks([all_checks()["certs.host"], all_checks()["certs.metric-truth"]], run)
    assert {one.verdict for one in answers.results} == {Verdict.SKIP}


@pytest.mark.parametrize("position", [0, 1])
def test_the_command_for_a_file_shows_the_certificate_at_that_place(tmp_path: Path, position: int) -> None:
    """What --explain prints runs in a shell, and prints the subject that is meant."""
    need("openssl")
    path = tmp_path / "a chain's.pem"
    path.write_bytes(FINE.pem + ROOT.pem)
    command = show_in_file(str(path), "pem", position)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=20)
    assert ("mesh root", "node")[position == 0] in done.stdout.splitlines()[0]
