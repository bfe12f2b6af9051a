"""The ``logcli`` command that asks Loki the same again: quoted for a POSIX shell, without the value of any secret.

Source: https://grafana.com/docs/loki/latest/query/logcli/ (flags of logcli 2.9 to 3.7).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from meshdiag.context import SecretKind
from meshdiag.sources.http.address import shown
from meshdiag.sources.streams.lines import rfc3339

if TYPE_CHECKING:
    from meshdiag.context import Credentials, Endpoint

TENANT = "x-scope-orgid"


def logcli(
    endpoint: Endpoint, query: str, start_ns: int | None, end_ns: int | None, limit: int, *, newest_first: bool
) -> str:
    """The command for a range query; an open side of the window is left to logcli, which takes the last hour."""
    parts = ["logcli", "query", f"--addr={shlex.quote(shown(endpoint.url))}", *_access(endpoint)]
    parts += [f"--{name}={rfc3339(time)}" for name, time in (("from", start_ns), ("to", end_ns)) if time is not None]
    parts.append(f"--limit={limit}")
    if not newest_first:
        parts.append("--forward")
    return " ".join([*parts, shlex.quote(query)])


def _access(endpoint: Endpoint) -> list[str]:
    files = (("ca-cert", endpoint.ca_file), ("cert", endpoint.cert_file), ("key", endpoint.key_file))
    parts = [f"--{name}={shlex.quote(str(path))}" for name, path in files if path is not None]
    parts += [f"--org-id={shlex.quote(value)}" for name, value in endpoint.headers.items() if name.lower() == TENANT]
    return parts if endpoint.credentials is None else [*parts, *_login(endpoint.credentials)]


def _login(credentials: Credentials) -> list[str]:
    secret = credentials.secret
    if credentials.username is None and secret.kind is SecretKind.FILE:
        return [f"--bearer-token-file={shlex.quote(secret.reference)}"]
    value = {
        SecretKind.FILE: f"$(cat {shlex.quote(secret.reference)})",
        SecretKind.ENV: f"${secret.reference}",
        SecretKind.COMMAND: f"$({secret.reference})",
    }[secret.kind]
    if credentials.username is None:
        return [f'--bearer-token="{value}"']
    return [f"--username={shlex.quote(credentials.username)}", f'--password="{value}"']
