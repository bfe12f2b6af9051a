"""Credentials: read from a file, a variable or a command when they are needed, and never shown."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.context import SecretKind
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.http.address import parse_address, shown
from meshdiag.sources.http.trouble import excerpt

if TYPE_CHECKING:
    from meshdiag.context import Endpoint, Secret

COMMAND_TIMEOUT_S = 10.0
MAX_SECRET = 64 * 1024


async def auth_headers(endpoint: Endpoint, *, name: str = "") -> dict[str, str]:
    """The ``Authorization`` header for this endpoint, or none. Reads the secret: call it once and keep it.

    Raises ``SourceError`` when the file is missing, the variable empty or the command fails.
    """
    credentials = endpoint.credentials
    if credentials is None:
        return _from_url(endpoint.url)
    try:
        secret = await read_secret(credentials.secret)
    except SecretError as error:
        where = shown(endpoint.url)
        raise SourceError(
            f"{name or 'HTTP'} at {where}: its credentials cannot be read: {error}",
            trouble=Trouble.NOT_CONFIGURED,
            source=name,
            where=where,
            hint="check the credentials of this source in the configuration",
        ) from error
    if credentials.username is None:
        return {"Authorization": f"Bearer {secret}"}
    return {"Authorization": _basic(credentials.username, secret)}


class SecretError(Exception):
    """A secret that cannot be read: one sentence, which does not hold it."""


async def read_secret(secret: Secret) -> str:
    """The secret's value without the newline at its end. Raises ``SecretError``."""
    if secret.kind is SecretKind.FILE:
        value = _read_file(secret.reference)
        what = f"file {secret.reference}"
    elif secret.kind is SecretKind.ENV:
        value = os.environ.get(secret.reference, "")
        what = f"environment variable {secret.reference}"
    else:
        value = await _run(secret.reference)
        what = f"the output of command {excerpt(secret.reference, 60)!r}"
    value = value.strip()
    if not value:
        raise SecretError(f"{what} is empty" if secret.kind is not SecretKind.ENV else f"{what} is not set or empty")
    if not value.isprintable():
        raise SecretError(f"{what} holds more than one line or control characters")
    return value


def _read_file(reference: str) -> str:
    path = Path(reference).expanduser()
    try:
        if not path.is_file():  # a pipe or device could be waited for for ever
            raise SecretError(f"file {path} does not exist" if not path.exists() else f"{path} is not a regular file")
        with path.open("rb") as file:
            return file.read(MAX_SECRET).decode()
    except UnicodeDecodeError:
        raise SecretError(f"file {path} is not text") from None
    except OSError as error:
        raise SecretError(f"file {path}: {error.strerror}") from error


async def _run(command: str) -> str:
    """What a command prints. It runs in a session of its own, so that its children end with it."""
    shown_command = excerpt(command, 60)
    try:
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SecretError(f"command {shown_command!r} does not start: {error}") from error
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            out, err = await process.communicate()
    except TimeoutError:
        raise SecretError(f"command {shown_command!r} did not end within {COMMAND_TIMEOUT_S:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        said = excerpt(err, 120)
        raise SecretError(f"command {shown_command!r} ended with {process.returncode}{': ' + said if said else ''}")
    return out[:MAX_SECRET].decode("utf-8", "replace")


def _from_url(url: str) -> dict[str, str]:
    try:
        userinfo = parse_address(url).userinfo
    except ValueError:
        return {}
    return {"Authorization": _basic(*userinfo)} if userinfo else {}


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
