"""What is said of a probe that failed: the sentence, the next step, and the commands that show it again."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from meshdiag.model import Evidence, Verdict
from meshdiag.sources.probing.answers import Method, ProbeTrouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.model import Finding
    from meshdiag.sources.probing.answers import Probed

T = ProbeTrouble

IMPOSSIBLE = frozenset({T.UNKNOWN_HOST, T.NO_RESOLVER, T.NOT_ALLOWED, T.NO_PORT, T.BAD_ADDRESS, T.ERROR})
"""Troubles that say nothing of the peer: it could not be tried."""
HEARD = frozenset({T.REFUSED, T.STALLED, T.CLOSED, T.NO_TLS, T.NO_HTTP, T.CERTIFICATE_WANTED})
"""Troubles that are a sign of life."""

_SAID: dict[str, str] = {
    T.REFUSED: "nothing listens on {port}",
    T.TIMEOUT: "{thing} does not answer in time: the link is broken, or a firewall drops packets",
    T.UNKNOWN_HOST: "the name {host} cannot be looked up from here",
    T.NO_RESOLVER: "the name {host} cannot be looked up: this machine's resolver does not answer",
    T.UNREACHABLE: "there is no route to {thing}",
    T.HOST_UNREACHABLE: "its network is reached, and no machine there has the address",
    T.PROHIBITED: "a firewall forbids it",
    T.TTL_EXCEEDED: "packets go in a circle on the way",
    T.STALLED: "{port} accepts, and then says nothing",
    T.CLOSED: "{port} accepts, and then hangs up",
    T.NO_TLS: "{port} accepts, and what answers does not speak TLS",
    T.NO_HTTP: "{port} accepts, and what answers does not speak HTTP",
    T.CERTIFICATE_WANTED: "{port} wants a client's certificate before it answers",
    T.NOT_ALLOWED: "this process may send no ICMP",
    T.NO_PORT: "the target names no port",
    T.BAD_ADDRESS: "the address cannot be read; it is HOST, HOST:PORT or an http(s) URL",
    T.ERROR: "it cannot be tried from here",
}
_NEXT: dict[str, str] = {
    T.REFUSED: "see on its machine whether the node runs, and on which port it listens: ss -tlnp",
    T.TIMEOUT: "see on its machine whether it listens (ss -tlnp) and whether packets arrive (tcpdump -ni any port "
    "PORT); if none do, a firewall on the way drops them",
    T.UNKNOWN_HOST: "look the name up (getent hosts NAME); it may be known only inside the mesh's own network",
    T.NO_RESOLVER: "see which servers this machine asks for names (/etc/resolv.conf), and whether they answer",
    T.UNREACHABLE: "see which way packets take: ip route get ADDRESS, then traceroute -n ADDRESS",
    T.HOST_UNREACHABLE: "see whether the machine is on and has that address (ip addr there, ip neigh on its router)",
    T.PROHIBITED: "find the rule that rejects it (iptables -L -vn, nft list ruleset) on the machine that says so",
    T.TTL_EXCEEDED: "see where packets turn round (traceroute -n ADDRESS): two routers send them to each other",
    T.STALLED: "see on its machine what the process does: it accepts connections and does not serve them",
    T.CLOSED: "read the log of what listens there; a proxy without a server behind it hangs up like this",
    T.NO_TLS: "check the port; --method tcp tries whether it accepts at all",
    T.NO_HTTP: "check the port; --method tcp tries whether it accepts at all",
    T.CERTIFICATE_WANTED: "--method tls times its handshake, which needs no certificate",
    T.NOT_ALLOWED: "use --method tcp, or allow it: sysctl net.ipv4.ping_group_range='0 2147483647'",
    T.NO_PORT: "write HOST:PORT, or use --method icmp",
}
SHOWN = 5
"""Peers whose commands are printed."""


def thing(probed: Probed) -> str:
    """What of a peer answers, or does not: its port, its host, its page."""
    if probed.method is Method.ICMP or not _port(probed):
        return "the host"
    if probed.method is Method.HTTP:
        return "its page" if probed.target.instance else "the page"
    return port_of(probed)


def port_of(probed: Probed, method: Method | None = None) -> str:
    """The port by its name, as a method asks it: a node's peer port or that of its page, else its number."""
    if probed.target.instance and method is Method.HTTP and probed.target.url:
        return "the port of its metrics page"
    return "the peer port" if probed.target.instance or not _port(probed) else f"port {_port(probed)}"


def _port(probed: Probed) -> str:
    address = probed.target.address
    host, _, port = address.rpartition(":")
    return port if host and (":" not in host or host.endswith("]")) else ""


def failure(probed: Probed) -> str:
    """Why nothing of a peer answers, as a sentence."""
    trouble = str(probed.trouble or T.ERROR)
    method = next((method for method, word in reversed(probed.tried) if word == trouble), None)
    said = _say(probed, method, trouble, probed.said_by)
    if probed.trouble is T.REFUSED and any(method is Method.ICMP for method, _word in probed.tried):
        return f"{said} (and its machine does not answer ICMP)"
    return said


def whole(probed: Probed, fault: tuple[Method, str]) -> str:
    """What is wrong with a peer of which something answers, as a sentence."""
    method, trouble = fault
    answers = {Method.ICMP: "the host answers ICMP", Method.HTTP: "its page answers"}.get(
        probed.method or Method.ICMP, "the port accepts"
    )
    if trouble == T.TIMEOUT and method is Method.TCP:
        return f"{answers}, and {port_of(probed)} stays silent: a firewall drops its packets"
    said = _say(probed, method, trouble, probed.port.said_by if probed.port else probed.said_by)
    return f"{answers}, and {said}" if method is Method.TCP else said


def _say(probed: Probed, method: Method | None, trouble: str, said_by: str) -> str:
    host = probed.target.address.rpartition(":")[0].strip("[]") or probed.target.address
    port = port_of(probed, method)
    said = _SAID.get(trouble, trouble).format(thing=port if _port(probed) else thing(probed), port=port, host=host)
    return f"{said} (says {said_by})" if said_by else said


def next_step(probes: Iterable[Probed], findings: Sequence[Finding]) -> str:
    """What to do about the worst finding that is about a trouble; empty where a check's own advice is right."""
    worst: tuple[int, str] = (0, "")
    for probed, finding in zip(probes, findings, strict=True):
        advice = _NEXT.get(_trouble_in(probed), "")
        if advice and finding.value is None and finding.verdict.severity > worst[0]:
            worst = finding.verdict.severity, advice
    return worst[1]


def _trouble_in(probed: Probed) -> str:
    if not probed.times_s:
        return str(probed.trouble or "")
    if probed.port is not None and not probed.port.times_s:
        return str(probed.port.trouble or "")
    return next((word for method, word in probed.tried if method is not Method.ICMP), "")


def evidence(
    probes: Sequence[Probed], findings: Sequence[Finding], count: int, interval_s: float
) -> tuple[Evidence, ...]:
    """The commands that try the worst few again, and what they were found to be."""
    pairs = sorted(zip(probes, findings, strict=True), key=lambda pair: -pair[1].verdict.severity)
    bad = [pair for pair in pairs if pair[1].verdict not in (Verdict.PASS, Verdict.SKIP)]
    told = []
    for probed, finding in bad[:SHOWN] or pairs[:1]:
        value = f" {finding.value:.6f}" if finding.value is not None else f" {_trouble_in(probed)}"
        told.append(Evidence(_source(probed), commands(probed, count, interval_s), f"{finding.subject}{value}"))
    return tuple(told)


def _source(probed: Probed) -> str:
    named = {Method.ICMP: "ICMP echo", Method.TCP: "TCP connect", Method.TLS: "TLS handshake", Method.HTTP: "HTTP"}
    methods = [*(method for method, _word in probed.tried), *([probed.method] if probed.method else [])]
    if not methods and probed.trouble in (ProbeTrouble.UNKNOWN_HOST, ProbeTrouble.NO_RESOLVER):
        return "name look-up"
    methods += [Method.TCP] if probed.port or not methods else []
    return ", ".join(dict.fromkeys(named[method] for method in methods))


def commands(probed: Probed, count: int, interval_s: float) -> str:
    """The usual tools' commands for what was tried."""
    target = probed.target
    host, _, port = target.address.rpartition(":") if _port(probed) else (target.address, "", "")
    host = host.strip("[]")
    if probed.trouble in (ProbeTrouble.UNKNOWN_HOST, ProbeTrouble.NO_RESOLVER):
        return f"getent ahosts {quote(host)}"  # no packet was sent: the name is what fails
    methods = {method for method, _word in probed.tried} | ({probed.method} if probed.method else set())
    lines = []
    if Method.ICMP in methods:
        lines.append(f"ping -c {count} -i {interval_s:g} {quote(host)}")
    if port and (Method.TCP in methods or probed.port or not methods):
        lines.append(f"nc -zvw 1 {quote(host)} {quote(port)}")
    if port and Method.TLS in methods:
        lines.append(f"openssl s_client -connect {quote(target.address)} </dev/null")
    if Method.HTTP in methods:
        url = target.url or f"http://{target.address}/"
        lines.append(f"curl -sko /dev/null -w '%{{time_connect}} %{{time_starttransfer}}\\n' {quote(url)}")
    return "; ".join(lines) or f"getent ahosts {quote(host)}"
