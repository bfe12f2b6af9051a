"""Probes judged: numbers out of times, each peer by itself and against the fleet, each trouble told apart."""

from __future__ import annotations

import pytest

from meshdiag.checks.readings.probe_words import IMPOSSIBLE, commands, next_step
from meshdiag.checks.readings.probed import Standout, judge, judge_jitter, judge_latency, judge_loss, numbers
from meshdiag.errors import SourceError
from meshdiag.model import Threshold, Verdict, at_most
from meshdiag.sources.probing import Answer, Method, Probed, ProbeTrouble, Target

LIMITS = Threshold(at_most(0.1), at_most(0.5))
LOSS = Threshold(at_most(0.01), at_most(0.2))


def node(name, times=(), *, method=Method.ICMP, sent=10, **more):
    """A node's peer, and what probing it brought."""
    target = Target(f"{name}:4001", name, "trainer", f"{name}:9091")
    return Probed(target, method if times else None, "10.0.0.1", sent, tuple(times), **more)


def typed(address, times=(), *, url="", **more):
    """A target of the command line."""
    return Probed(Target(address, url=url), Method.ICMP if times else None, "10.0.0.1", 10, tuple(times), **more)


def latency(*probes, fleet=True, standout=None):
    """What the check of latency says of some peers."""
    return judge_latency(probes, LIMITS, standout or Standout(), fleet=fleet)


def test_numbers_are_those_that_ping_and_rfc_3550_count_with():
    """Median between the middle two, the 95th percentile a time that was measured, jitter by successive differences."""
    told = numbers([0.010, 0.030, 0.020, 0.040])
    assert (told.min_s, told.median_s, told.p95_s, told.max_s) == (0.010, 0.025, 0.040, 0.040)
    assert told.jitter_s == pytest.approx((0.020 + 0.010 + 0.020) / 3)
    assert numbers(range(1, 101)).p95_s == 95
    assert numbers([0.01]).jitter_s is None
    assert numbers([]).median_s is None


@pytest.mark.parametrize(("took", "verdict"), [(0.05, Verdict.PASS), (0.2, Verdict.WARN), (0.6, Verdict.FAIL)])
def test_latency_is_held_against_the_threshold(took, verdict):
    """The median decides, not one late answer."""
    (found,) = latency(node("a", [took] * 9 + [3.0]))
    assert (found.verdict, found.value) == (verdict, took)


def test_a_slow_link_in_a_fast_mesh_stands_out():
    """12 times the fleet's median warns although it is far below the threshold, and the finding says so."""
    fast = [node(name, [0.001] * 10) for name in "abcd"]
    found = latency(*fast, node("slow", [0.012] * 10))
    assert [one.verdict for one in found] == [Verdict.PASS] * 4 + [Verdict.WARN]
    assert "12 times" in found[-1].message
    assert found[-1].threshold.warn.high == pytest.approx(0.010)


def test_what_is_fast_enough_for_anybody_does_not_stand_out():
    """A hundred times a loopback's 20 µs is still nothing; with the option at 0 nobody stands out at all."""
    fast = [node(name, [0.00002] * 10) for name in "abc"]
    assert latency(*fast, node("d", [0.002] * 10))[-1].verdict is Verdict.PASS
    slow = node("d", [0.09] * 10)
    assert latency(*fast, slow)[-1].verdict is Verdict.WARN
    assert latency(*fast, slow, standout=Standout(times=0))[-1].verdict is Verdict.PASS


def test_only_what_takes_as_many_round_trips_is_compared():
    """A TLS handshake is not slow because pings are faster."""
    pings = [node(name, [0.001] * 10) for name in "abcd"]
    assert latency(*pings, node("t", [0.05] * 10, method=Method.TLS))[-1].verdict is Verdict.PASS
    assert latency(*pings, node("t", [0.05] * 10, method=Method.TCP))[-1].verdict is Verdict.WARN


def test_a_host_that_answers_with_a_closed_port_fails():
    """The ping is fine, the port is not: that is a finding, and it names both."""
    closed = Answer(Method.TCP, "10.0.0.1", 1, (), ProbeTrouble.REFUSED)
    (found,) = latency(node("a", [0.001] * 10, port=closed))
    assert found.verdict is Verdict.FAIL
    assert "answers ICMP" in found.message and "nothing listens on the peer port" in found.message


def test_a_host_that_answers_with_a_filtered_port_says_firewall():
    """Silence of the port alone is somebody's rule, not a broken link."""
    silent = Answer(Method.TCP, "10.0.0.1", 3, (), ProbeTrouble.TIMEOUT)
    (found,) = latency(node("a", [0.001] * 10, port=silent))
    assert found.verdict is Verdict.FAIL
    assert "firewall" in found.message and "link" not in found.message


def test_a_host_that_drops_icmp_is_in_order():
    """A silent ping proves nothing where the port answers."""
    (found,) = latency(node("a", [0.001] * 10, method=Method.TCP, tried=((Method.ICMP, "timeout"),)))
    assert found.verdict is Verdict.PASS


def test_a_port_that_does_not_speak_what_was_asked_fails():
    """A page that is asked for and does not come is a failure although its port accepts."""
    (found,) = latency(typed("h:443", [0.01] * 3, url="https://h/", tried=((Method.HTTP, "no-tls"),)), fleet=False)
    assert (found.subject, found.verdict) == ("https://h/", Verdict.FAIL)
    assert "does not speak TLS" in found.message


def test_which_port_it_is_depends_on_what_was_asked():
    """The page's port is not the peer port; where the page answers and the peer port refuses, both are said."""
    target = Target("a:4001", "a", "trainer", "a:9091", "http://a:9091/metrics")
    gone = Probed(target, trouble=ProbeTrouble.REFUSED, tried=((Method.HTTP, "refused"),))
    half = Probed(target, Method.HTTP, "", 3, (0.1,) * 3, tried=((Method.ICMP, "timeout"), (Method.TCP, "refused")))
    first, second = latency(gone, half)
    assert first.message == "nothing listens on the port of its metrics page"
    assert second.message == "its page answers, and nothing listens on the peer port"
    assert (first.verdict, second.verdict) == (Verdict.FAIL, Verdict.FAIL)


def test_every_trouble_has_words_of_its_own():
    """No two troubles read alike, and each that can be mended has a next step of its own."""
    probes = [typed("h:1", trouble=trouble) for trouble in ProbeTrouble]
    found = latency(*probes, fleet=False)
    assert len({one.message for one in found}) == len(ProbeTrouble)
    assert {one.verdict for one in found} == {Verdict.FAIL, Verdict.UNKNOWN}
    for probed, one in zip(probes, found, strict=True):
        assert (one.verdict is Verdict.UNKNOWN) is (probed.trouble in IMPOSSIBLE)
    steps = [next_step([probed], [one]) for probed, one in zip(probes, found, strict=True)]
    assert len(set(filter(None, steps))) >= 12


def test_who_said_it_is_named():
    """The router that forbids it is where to look."""
    (found,) = latency(typed("h:1", trouble=ProbeTrouble.PROHIBITED, said_by="10.9.9.1"), fleet=False)
    assert "10.9.9.1" in found.message


def test_a_mesh_of_which_nobody_gives_a_sign_is_unknown():
    """Then it is this machine that is outside; what was typed by hand is judged by itself."""
    silent = [node(name, trouble=ProbeTrouble.TIMEOUT) for name in "ab"]
    assert {one.verdict for one in latency(*silent)} == {Verdict.UNKNOWN}
    assert {one.verdict for one in latency(*silent, fleet=False)} == {Verdict.FAIL}
    refusing = node("c", trouble=ProbeTrouble.REFUSED)
    assert {one.verdict for one in latency(*silent, refusing)} == {Verdict.FAIL}


def test_loss_is_the_share_of_probes_without_an_answer():
    """One of ten warns, three of ten fail, nothing at all is the check of latency's to say."""
    found = judge_loss([node("a", [0.01] * n) for n in (10, 9, 7, 0)], LOSS)
    assert [one.verdict for one in found] == [Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.SKIP]
    assert found[2].value == pytest.approx(0.3)
    assert "3 of 10 probes are lost (icmp)" in found[2].message


def test_loss_to_most_peers_points_at_this_end():
    """What all links have in common is this machine's own."""
    found = judge_loss([node(name, [0.01] * 8) for name in "abc"], LOSS)
    assert all("this machine's own link" in one.message for one in found)
    (one, *_rest) = judge_loss([node("a", [0.01] * 8), *(node(name, [0.01] * 10) for name in "bcd")], LOSS)
    assert "this machine" not in one.message


def test_jitter_is_judged_by_itself_and_against_the_fleet():
    """An uneven link warns; one that is uneven in an even mesh stands out; a few answers tell nothing."""
    even, uneven = [0.010, 0.0101] * 5, [0.010, 0.060] * 5
    wobbly = [0.010, 0.019] * 5
    found = judge_jitter(
        [*(node(name, even) for name in "abc"), node("w", wobbly), node("u", uneven), node("few", [0.01, 0.5])],
        Threshold(at_most(0.03), at_most(0.1)),
        Standout(),
    )
    expected = [Verdict.PASS] * 3 + [Verdict.WARN, Verdict.WARN, Verdict.SKIP]
    assert [one.verdict for one in found] == expected
    assert "times as much as the fleet's median" in found[3].message


@pytest.mark.parametrize("options", [{"median_times": "ten"}, {"median_floor_s": -1}, {"median_times": True}])
def test_a_wrong_option_is_named(options):
    """A wrong setting is one sentence with its name, not a guess."""
    with pytest.raises(SourceError, match=r"option median_.* of peers\.latency"):
        judge("peers.latency", [], LIMITS, options, fleet=True)


def test_the_commands_are_the_usual_tools():
    """What is printed as evidence can be pasted, whatever was tried."""
    port = Answer(Method.TCP, "10.0.0.1", 1, (0.001,))
    assert commands(node("a", [0.001] * 10, port=port), 10, 0.2) == "ping -c 10 -i 0.2 a; nc -zvw 1 a 4001"
    six = Probed(Target("[fd00::1]:4001"), Method.TLS, "fd00::1", 1, (0.01,))
    assert commands(six, 10, 0.2) == "openssl s_client -connect '[fd00::1]:4001' </dev/null"
    page = Probed(Target("h:80", url="http://h/?a=1&b"), Method.HTTP, "", 1, (0.01,))
    assert commands(page, 10, 0.2).endswith("'http://h/?a=1&b'")
    nobody = Probed(Target("gone.example:4001"), trouble=ProbeTrouble.UNKNOWN_HOST)
    assert commands(nobody, 10, 0.2) == "getent ahosts gone.example"
