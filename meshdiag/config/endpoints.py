"""Reads what a configuration file says of one HTTP server: address, TLS, headers, where its credentials are kept."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdiag.config.addresses import clean_url
from meshdiag.config.layers import EndpointSettings, Standing
from meshdiag.config.shapes import EndpointShape, ScrapeShape
from meshdiag.context import Credentials, Secret, SecretKind
from meshdiag.durations import parse_duration
from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.config.places import Path as KeyPath
    from meshdiag.config.shapes import Reader

SECRET_KEYS = tuple(f"{family}_{kind}" for family in ("password", "token") for kind in SecretKind)
TRUSTED_KEYS = (*SECRET_KEYS, "cert_file", "key_file")
"""Keys that make meshdiag read a secret or run a command: not for a file that anybody may have put there."""

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization"})
FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
LONGEST_TIMEOUT_S = 3600.0
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def read_endpoint(reader: Reader, value: bool | str | Mapping[str, Any], path: KeyPath) -> EndpointSettings:
    """A source's settings: a table, a URL alone, or false."""
    if value is True:
        reader.problem(path, "expects a table, a URL or false, got true")
        return EndpointSettings()
    if value is False:
        return EndpointSettings(off=True, origins={"url": reader.file.origin(path)})
    if isinstance(value, str):
        settings = EndpointSettings()
        _set_url(reader, settings, value, path)
        return settings
    shape = reader.read(value, path, EndpointShape)
    settings = _common(reader, shape, path)
    if shape.url is not None:
        _set_url(reader, settings, shape.url, (*path, "url"))
    return settings


def read_scrape(reader: Reader, value: Mapping[str, Any], path: KeyPath) -> EndpointSettings:
    """The settings for the nodes' pages: an endpoint without a URL."""
    return _common(reader, reader.read(value, path, ScrapeShape), path)


def _set_url(reader: Reader, settings: EndpointSettings, text: str, path: KeyPath) -> None:
    try:
        settings.url = clean_url(text)
    except ValueError as error:
        reader.problem(path, str(error))
    settings.origins["url"] = reader.file.origin(path)


def _common(reader: Reader, shape: ScrapeShape, path: KeyPath) -> EndpointSettings:
    _refuse_found_secrets(reader, shape, path)
    settings = EndpointSettings(
        timeout_s=read_timeout(reader, shape.timeout, (*path, "timeout")),
        ca_file=read_path(reader, shape.ca_file, (*path, "ca_file")),
        cert_file=read_path(reader, shape.cert_file, (*path, "cert_file")),
        key_file=read_path(reader, shape.key_file, (*path, "key_file")),
        headers=_headers(reader, shape.headers, (*path, "headers")),
        credentials=_credentials(reader, shape, path),
    )
    if settings.key_file and not shape.cert_file:
        reader.problem((*path, "key_file"), "needs cert_file beside it")
    for name in ("timeout", "ca_file", "cert_file", "key_file", "headers"):
        if getattr(shape, name) is not None:
            settings.origins[name] = reader.file.origin((*path, name))
    for name in SECRET_KEYS:
        if getattr(shape, name) is not None:
            settings.origins["credentials"] = reader.file.origin((*path, name))
    return settings


def _refuse_found_secrets(reader: Reader, shape: ScrapeShape, path: KeyPath) -> None:
    if reader.file.candidate.standing is not Standing.FOUND:
        return
    for name in TRUSTED_KEYS:
        if getattr(shape, name) is not None:
            reader.problem(
                (*path, name),
                "is not for a file that lies in the working directory, which could name any file or command of yours",
                f"if you trust it, pass it with --config {reader.file.candidate.shown}",
            )


def read_timeout(reader: Reader, value: float | str | None, path: KeyPath) -> float | None:
    """A limit on one request, in seconds."""
    if value is None:
        return None
    try:
        seconds = parse_duration(value).total_seconds() if isinstance(value, str) else float(value)
    except (UsageError, OverflowError) as error:
        reader.problem(path, f"expects a duration: {error}")
        return None
    if not 0 < seconds <= LONGEST_TIMEOUT_S:
        reader.problem(path, "expects more than 0 and at most 1h")
        return None
    return seconds


def read_path(reader: Reader, value: str | None, path: KeyPath) -> Path | None:
    """A file that a key names, from the folder of the configuration."""
    if value is None:
        return None
    if not value or "\0" in value:
        reader.problem(path, "expects the path of a file")
        return None
    return resolve(reader, value)


def resolve(reader: Reader, text: str) -> Path:
    """A path in a file: from the file's own folder; ``~`` is the home folder."""
    path = Path(text)
    with suppress(RuntimeError):  # no such user: it stays as it is written, and is not found later
        path = path.expanduser()
    return reader.file.candidate.path.parent.absolute() / path


def _headers(reader: Reader, headers: dict[str, str] | None, path: KeyPath) -> dict[str, str] | None:
    for name, value in (headers or {}).items():
        here, lower = (*path, name), name.lower()
        if not _HEADER_NAME.fullmatch(name):
            reader.problem(here, "is not the name of a header")
        elif lower in SECRET_HEADERS:
            reader.problem(
                here, "would be a secret in the file itself", "use username and password_… or token_… instead"
            )
        elif lower in FRAMING_HEADERS:
            reader.problem(here, "is a header that the program sets itself")
        elif lower == "host" and reader.file.candidate.standing is Standing.FOUND:
            reader.problem(here, "is not for a file that lies in the working directory")
        elif not value.isprintable() or not value.isascii():
            reader.problem(here, "expects printable ASCII text")
    return headers


def _credentials(reader: Reader, shape: ScrapeShape, path: KeyPath) -> Credentials | None:
    given = [name for name in SECRET_KEYS if getattr(shape, name) is not None]
    if len(given) > 1:
        reader.problem((*path, given[1]), f"stands beside {given[0]}; give one place for the secret")
        return None
    if not given:
        if shape.username is not None:
            reader.problem(
                (*path, "username"), "needs a password", "give password_file, password_env or password_command"
            )
        return None
    key = given[0]
    family, _, kind = key.partition("_")
    if family == "password" and shape.username is None:
        reader.problem(
            (*path, key), "needs username beside it; a bearer token is token_file, token_env or token_command"
        )
    if family == "token" and shape.username is not None:
        reader.problem(
            (*path, key), "does not go with username; a password is password_file, password_env or …_command"
        )
    reference = _reference(reader, SecretKind(kind), getattr(shape, key), (*path, key))
    return None if reference is None else Credentials(Secret(SecretKind(kind), reference), shape.username)


def _reference(reader: Reader, kind: SecretKind, value: str | list[str], path: KeyPath) -> str | None:
    text = value if isinstance(value, str) else shlex.join(value)
    if kind is SecretKind.FILE:
        file = read_path(reader, text, path)
        return None if file is None else str(file)
    if kind is SecretKind.ENV and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        reader.problem(path, "expects the name of an environment variable")
        return None
    if not text.strip() or "\0" in text:
        reader.problem(path, "expects a command line")
        return None
    return text
