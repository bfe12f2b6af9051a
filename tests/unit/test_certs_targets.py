"""What a person types after ``meshdiag certs`` is a server or a path, and which one can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdiag.checks.readings.certificates.places import places_of
from meshdiag.checks.readings.roster import Node
from meshdiag.commands._certs_targets import parse_targets
from meshdiag.context import Context, Endpoint, NodeAddress
from meshdiag.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address", "starttls"),
    [
        ("trainer-3:7946", "trainer-3:7946", ""),
        ("[::1]:7946", "[::1]:7946", ""),
        ("prometheus.example", "prometheus.example:443", ""),
        ("https://prometheus.example/graph?x=1", "prometheus.example:443", ""),
        ("HTTPS://u:p@prometheus.example:8443", "prometheus.example:8443", ""),
        ("https://[fd00::3]/", "[fd00::3]:443", ""),
        ("smtp://mail.example", "mail.example:25", "smtp"),
        ("smtps://mail.example", "mail.example:465", ""),
        ("postgresql://db.example/x", "db.example:5432", "postgres"),
    ],
)
def test_a_server_is_named_in_any_usual_way(text: str, address: str, starttls: str) -> None:
    """With its port or the usual one; what is spoken before TLS follows from the URL."""
    (wanted,), paths = parse_targets([text])
    assert (wanted.address, wanted.starttls, paths) == (address, starttls, ())


def test_a_path_is_told_from_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there, has a slash or a sign of a glob, or ends as files of certificates do, is a path; a file that is
    missing is told as such, not looked up as a host."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").touch()
    texts = ["bundle", "/etc/ssl/certs", "*.crt", "tls/node", "missing.pem", "store.p12", "~/ca"]
    assert parse_targets(texts) == ((), tuple(texts))


def test_flags_about_servers_reach_every_server() -> None:
    """The name, the protocol and the client's certificate; without a server they are wrong usage."""
    (wanted,), _ = parse_targets(["a:1"], server_name="b", starttls="imap", client_cert=("c", "k"))
    assert (wanted.server_name, wanted.starttls, wanted.client_cert) == ("b", "imap", ("c", "k"))
    with pytest.raises(UsageError):
        parse_targets(["./a.pem"], server_name="b")


@pytest.mark.parametrize("text", ["", "http://x", "gopher://x", "https://", "x:0", "a:b:c", "https://x:99999"])
def test_what_is_neither_is_refused_in_one_sentence(text: str) -> None:
    """Nothing is asked for a target that cannot be meant."""
    with pytest.raises(UsageError) as caught:
        parse_targets([text])
    assert "\n" not in str(caught.value)


def test_a_context_has_peer_ports_https_pages_and_https_servers_each_once() -> None:
    """Whatever begins with http:// has no certificate; each address is asked once, with its own roots and pair."""
    ca, pair = Path("/ca.pem"), {"cert_file": Path("/c.pem"), "key_file": Path("/k.pem")}
    context = Context(
        prometheus=Endpoint("https://watch.example/prom", ca_file=ca, **pair),  # type: ignore[arg-type]
        alertmanager=Endpoint("http://watch.example:9093"),
        grafana=Endpoint("https://watch.example:443/grafana"),
        loki=None,
        jaeger=None,
        peer_ca_file=Path("/mesh.pem"),
        nodes=(NodeAddress("https://10.0.0.3:9091/metrics", "10.0.0.3:9091", "trainer-3"),),
    )
    nodes = [Node("10.0.0.3:9091", "trainer-3", "trainer", peer="10.0.0.3:7946"), Node("10.0.0.4:9091")]
    places = places_of(context, nodes)
    assert [(one.wanted.address, one.what, one.ca_file) for one in places] == [
        ("10.0.0.3:7946", "peer port", Path("/mesh.pem")),
        ("10.0.0.3:9091", "metrics page", None),
        ("watch.example:443", "Prometheus", ca),
    ]
    assert places[2].wanted.client_cert == ("/c.pem", "/k.pem")
