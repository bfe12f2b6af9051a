"""The command that asks a server the same again: quoted for a POSIX shell, without the value of any secret."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from meshdiag.context import SecretKind
from meshdiag.sources.http.address import parse_address, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.context import Credentials, Endpoint

SECRET_NAME = re.compile(
    r"auth|token|secret|passw|cookie|credential|session|api-?key|-key$|^key$|signature", re.IGNORECASE
)
HIDDEN = "<hidden>"


def curl(endpoint: Endpoint, path: str = "", params: Sequence[tuple[str, str]] = (), *, form: bool = False) -> str:
    """A pasteable curl command for ``path`` below the endpoint. ``form`` sends the parameters by POST.

    Secrets appear as the place they come from (``$(cat FILE)``, ``$VARIABLE``, ``$(command)``).
    """
    parts = ["curl", "-s" if form or not params else "-sG"]
    if endpoint.ca_file is not None:
        parts += ["--cacert", shlex.quote(str(endpoint.ca_file))]
    if endpoint.cert_file is not None:
        parts += ["--cert", shlex.quote(str(endpoint.cert_file))]
    if endpoint.key_file is not None:
        parts += ["--key", shlex.quote(str(endpoint.key_file))]
    parts += _login(endpoint)
    for name, value in endpoint.headers.items():
        parts += ["-H", shlex.quote(f"{name}: {HIDDEN if SECRET_NAME.search(name) else value}")]
    parts.append(shlex.quote(shown(endpoint.url) + path))
    for name, value in (*_fixed_params(endpoint), *params):
        parts += ["--data-urlencode", shlex.quote(f"{name}={value}")]
    return " ".join(parts)


def _login(endpoint: Endpoint) -> list[str]:
    if endpoint.credentials is not None:
        return _credentials(endpoint.credentials)
    try:
        userinfo = parse_address(endpoint.url).userinfo
    except ValueError:
        return []
    return ["-u", shlex.quote(f"{userinfo[0]}:{HIDDEN}")] if userinfo else []


def _credentials(credentials: Credentials) -> list[str]:
    secret = credentials.secret
    if secret.kind is SecretKind.FILE:
        value = f"$(cat {shlex.quote(secret.reference)})"
    elif secret.kind is SecretKind.ENV:
        value = f"${secret.reference}" if secret.reference.isidentifier() else HIDDEN
    else:
        value = f"$({secret.reference})"
    if credentials.username is None:
        return ["-H", f'"Authorization: Bearer {value}"']
    return ["-u", f'{shlex.quote(credentials.username)}:"{value}"']


def _fixed_params(endpoint: Endpoint) -> list[tuple[str, str]]:
    """The parameters of the endpoint's own URL: such a URL carries a key as a rule."""
    try:
        return [(name, HIDDEN) for name, _ in parse_address(endpoint.url).query]
    except ValueError:
        return []
