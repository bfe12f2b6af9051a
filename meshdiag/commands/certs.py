"""``meshdiag certs``: which certificates expire, are wrong, or are not those that are believed to be served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags
from meshdiag.commands._params import CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.checks import Check
    from meshdiag.checks.readings.certificates.gathering import Options
    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags

SECTION = "Look at the mesh"

CHECKS = ("certs.*", "security.certificates")
OF_THE_MESH = ("certs.metric-truth", "security.certificates")
"""Of no use where the user names what to look at."""
STARTTLS = ("smtp", "imap", "pop3", "ldap", "postgres")


@click.command("certs", short_help="Which certificates expire, are wrong, or were not reloaded.")
@click.argument("targets", nargs=-1, metavar="[TARGET]...", type=click.Path())
@click.option("--warn-days", type=click.FloatRange(min=0), metavar="DAYS", help="Warn with less left (default: 30).")
@click.option("--fail-days", type=click.FloatRange(min=0), metavar="DAYS", help="Fail with less left (default: 7).")
@click.option("--ca-file", type=CONFIG, metavar="FILE", help="The roots that chains must lead to, not the system's.")
@click.option(
    "--server-name", metavar="NAME", default="", help="Ask for this host (SNI), and hold the names against it."
)
@click.option("--starttls", type=click.Choice(STARTTLS), default=None, help="What is spoken before TLS begins.")
@click.option("--client-cert", type=CONFIG, metavar="FILE", help="Show this certificate to servers that ask for one.")
@click.option("--client-key", type=CONFIG, metavar="FILE", help="Its key, where it is in a file of its own.")
@click.option("--password-file", type=CONFIG, metavar="FILE", help="What opens PKCS#12 files: the file's first line.")
@shared_flags(formats=DATA_FORMATS, future=True)
@click.pass_obj
def command(
    invocation: Invocation,
    flags: Flags,
    targets: tuple[str, ...],
    warn_days: float | None,
    fail_days: float | None,
    ca_file: Path | None,
    server_name: str,
    starttls: str | None,
    client_cert: Path | None,
    client_key: Path | None,
    password_file: Path | None,
) -> int:
    """Every certificate in a row, the most urgent first: how long it lasts, what is wrong with it, where it is.

    TARGET is host:port, a node's name, an https URL, smtp://host:25 (imap, pop3, ldap, postgres), a file (PEM, DER,
    PKCS#12, a Kubernetes Secret, a kubeconfig), a folder or a glob. Without any: the nodes' peer ports and pages, the
    servers of the configuration, its certificates = […], and what the nodes' own metric says, held against what they
    serve.

    \b
    Examples:
      meshdiag certs
      meshdiag certs --at 2026-12-24                  # would they be valid then?
      meshdiag certs trainer-3:7946 --ca-file mesh-ca.pem --explain
      meshdiag certs /etc/mesh/tls 'secrets/*.yaml' -o json
      meshdiag certs -o openmetrics > /var/lib/node_exporter/certs.prom
    """
    from meshdiag.checks.readings.certificates.gathering import Options
    from meshdiag.commands._certs_targets import bare_hosts, parse_targets
    from meshdiag.commands._run import Question, look, show
    from meshdiag.engine import View
    from meshdiag.views.certs import CertsView

    servers, paths = parse_targets(
        targets, server_name=server_name, starttls=starttls or "", client_cert=_pair(client_cert, client_key)
    )
    options = Options(
        servers, paths, flags.at, warn_days, fail_days, _roots(ca_file), _password(password_file), bare_hosts(targets)
    )
    question = Question(
        "certs", extra=tuple(_checks(flags, options)), view=View(CertsView(options).draw, needs=("certificates",))
    )
    # What is asked is asked now: the moment that the user names is the one that certificates are judged for.
    report, interrupted = look(invocation, replace(flags, at=None, only=(), skip=()), question)
    return show(replace(report, at=flags.at), flags, interrupted=interrupted)


def _checks(flags: Flags, options: Options) -> list[Check]:
    """The checks that are meant, each told of the options where it is one of certificates."""
    from meshdiag.checks import select

    chosen = select(CHECKS, flags.only, flags.skip)
    if options.named and not flags.only:
        chosen = [one for one in chosen if one.id not in OF_THE_MESH]
    return [_told(one, options) if one.subject == "certs" else one for one in chosen]


def _told(check: Check, options: Options) -> Check:
    """A check of certificates that goes by these options."""
    from functools import partial

    run: Any = check.run  # each takes them, beside the inputs
    return replace(check, run=partial(run, options=options))


def _pair(cert: Path | None, key: Path | None) -> tuple[str, str] | None:
    """The files of a client certificate and its key. Raises ``UsageError`` for a key alone, and for files that are no
    such pair."""
    from meshdiag.errors import UsageError

    if cert is None:
        if key is not None:
            raise UsageError("--client-key needs --client-cert beside it")
        return None
    from meshdiag.sources.certificates.handshake import looking_context

    pair = str(cert), str(key or cert)
    try:
        looking_context(client_cert=pair)
    except OSError as error:  # ssl.SSLError is one
        missing = next((path for path in (cert, key or cert) if not path.is_file()), None)
        said = f"there is no file {missing}" if missing else "no PEM certificate with its key, without a password"
        hint = "" if missing or key else "where the key is in a file of its own, name that with --client-key"
        raise UsageError(f"the client certificate {cert} cannot be used: {said}", hint=hint) from error
    return pair


def _roots(ca_file: Path | None) -> Path | None:
    """The file of the roots. Raises ``UsageError`` where it holds none."""
    if ca_file is not None:
        from meshdiag.sources.certificates.trust import load_trust

        load_trust(ca_file)
    return ca_file


def _password(path: Path | None) -> bytes | None:
    """The first line of a file. Raises ``UsageError`` where it cannot be read."""
    from meshdiag.errors import UsageError

    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise UsageError(
            f"the password file {path} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
