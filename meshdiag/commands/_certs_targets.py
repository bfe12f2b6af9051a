"""What a person types after ``meshdiag certs``: servers, URLs, files, folders and globs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.sources.certificates.endpoints import Wanted

PLAIN = {"https": 443, "tls": 443, "wss": 443, "smtps": 465, "imaps": 993, "pop3s": 995, "ldaps": 636}
"""Schemes of URLs that begin with TLS, and their ports."""
UPGRADED = {"smtp": 25, "imap": 143, "pop3": 110, "ldap": 389, "postgres": 5432, "postgresql": 5432}
"""Schemes of URLs of which the protocol goes over to TLS, and their ports."""
ENDINGS = frozenset(
    {".pem", ".crt", ".cer", ".der", ".p12", ".pfx", ".key", ".yaml", ".yml", ".json", ".txt", ".conf", ".p7b", ".jks"}
)
"""A name with one of these that is no file is a file that is missing, not a host."""


def parse_targets(
    texts: Sequence[str], *, server_name: str = "", starttls: str = "", client_cert: tuple[str, str] | None = None
) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """The servers and the paths among some targets. Raises ``UsageError`` for what is neither."""
    servers: list[Wanted] = []
    paths: list[str] = []
    for text in texts:
        found = _server(text, server_name, starttls, client_cert)
        if found is None:
            paths.append(text)
        else:
            servers.append(found)
    if not servers and (server_name or starttls or client_cert):
        raise UsageError(
            "--server-name, --starttls and --client-cert are about servers, and none is named",
            hint="name one: meshdiag certs host:port",
        )
    return tuple(servers), tuple(paths)


def bare_hosts(texts: Sequence[str]) -> frozenset[str]:
    """The targets that are a host alone: of a node of the mesh its peer port is meant, not that of https."""
    return frozenset(text for text in texts if text and ":" not in text and not _is_path(text))


def _server(text: str, server_name: str, starttls: str, client_cert: tuple[str, str] | None) -> Wanted | None:
    """The server that a text names; None for a path."""
    from meshdiag.sources.certificates.endpoints import Wanted

    if not text or "\0" in text:
        raise UsageError("an empty target names nothing", hint="write host:port, an https URL or a path")
    scheme, separator, _rest = text.partition("://")
    if separator:
        address, upgrade = _of_url(text, scheme.lower())
        return Wanted(address, server_name, starttls or upgrade, client_cert=client_cert)
    if _is_path(text):
        return None
    return Wanted(_address(text), server_name, starttls, client_cert=client_cert)


def _of_url(text: str, scheme: str) -> tuple[str, str]:
    """The address behind a URL, and the protocol that it upgrades ("" where TLS comes first)."""
    from meshdiag.sources.resolving import join_address

    if scheme == "http":
        raise UsageError(f"{text} is not encrypted: it has no certificate", hint="write https://, or host:port")
    port = PLAIN.get(scheme) or UPGRADED.get(scheme)
    if port is None:
        raise UsageError(
            f"{scheme}:// is not known here", hint=f"known are {', '.join((*PLAIN, *UPGRADED))}; or write host:port"
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or port
    except ValueError as error:
        raise UsageError(f"{text} is no address: {error}") from error
    if not host:
        raise UsageError(f"{text} names no host", hint="write https://host:port")
    return join_address(host, port), scheme.replace("postgresql", "postgres") if scheme in UPGRADED else ""


def _is_path(text: str) -> bool:
    """Whether a text without a scheme is a path: it is there, looks like one, or ends as files of certificates do."""
    if text.startswith(("/", "./", "../", "~")) or any(sign in text for sign in "*?") or "/" in text:
        return True
    try:
        return Path(text).exists() or Path(text).suffix.lower() in ENDINGS
    except OSError:
        return False


def _address(text: str) -> str:
    """``host:port`` of a host, with or without a port."""
    from meshdiag.sources.resolving import join_address, split_address

    bare = text if text.startswith("[") else text.strip()
    try:
        return join_address(*split_address(bare))
    except ValueError as error:
        if ":" in bare.rpartition("]")[2]:
            raise UsageError(str(error), hint="or write a path with a slash in it, as in ./name") from error
    return join_address(bare.strip("[]"), PLAIN["https"])
