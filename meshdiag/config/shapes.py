"""The tables of a configuration file and the types of their keys, and reading one table against its shape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from meshdiag.config.layers import SOURCES
from meshdiag.config.words import key_text, suggestion
from meshdiag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshdiag.config.files import ConfigFile
    from meshdiag.config.places import Path as KeyPath

S = TypeVar("S", bound=msgspec.Struct)

Command = str | list[str]


class FileShape(msgspec.Struct):
    """The top of a file."""

    default_context: str | None = None
    contexts: dict[str, dict[str, Any]] = {}
    checks: dict[str, dict[str, Any]] = {}
    logs: dict[str, Any] = {}


class LogsShape(msgspec.Struct):
    """``[logs]``: how log lines are read, whichever mesh they are of."""

    formats: dict[str, dict[str, Any]] = {}


class FormatShape(msgspec.Struct):
    """``[logs.formats.NAME]``."""

    regex: str | None = None


class ContextShape(msgspec.Struct):
    """``[contexts.NAME]``. A source is a table, a URL alone, or false where the mesh has none."""

    job: str | None = None
    node_label: str | None = None
    role_label: str | None = None
    peer_label: str | None = None
    loki_selector: str | None = None
    logs: list[str] | None = None
    rules: list[str] | None = None
    runbook_paths: list[str] | None = None
    certificates: list[str] | None = None
    peer_ca_file: str | None = None
    nodes: list[str | dict[str, Any]] | None = None
    node_files: list[str] | None = None
    prometheus: bool | str | dict[str, Any] | None = None
    alertmanager: bool | str | dict[str, Any] | None = None
    grafana: bool | str | dict[str, Any] | None = None
    loki: bool | str | dict[str, Any] | None = None
    jaeger: bool | str | dict[str, Any] | None = None
    tempo: bool | str | dict[str, Any] | None = None
    scrape: dict[str, Any] | None = None
    blackbox: bool | str | dict[str, Any] | None = None
    checks: dict[str, dict[str, Any]] = {}


class ScrapeShape(msgspec.Struct):
    """``[contexts.NAME.scrape]``: how the nodes' pages are fetched."""

    timeout: float | str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    headers: dict[str, str] | None = None
    username: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    password_command: Command | None = None
    token_file: str | None = None
    token_env: str | None = None
    token_command: Command | None = None


class EndpointShape(ScrapeShape):
    """``[contexts.NAME.prometheus]`` and the other sources."""

    url: str | None = None


class BlackboxShape(msgspec.Struct):
    """``[contexts.NAME.blackbox]``: the blackbox_exporters beside the nodes."""

    url: str | None = None
    module: str | None = None
    timeout: float | str | None = None
    count: int | None = None
    ca_file: str | None = None


class NodeShape(msgspec.Struct):
    """``[[contexts.NAME.nodes]]``."""

    url: str | None = None
    address: str | None = None
    name: str = ""
    role: str = ""
    instance: str = ""
    peer: str = ""
    blackbox: str = ""


class CheckShape(msgspec.Struct):
    """``[checks.ID]``: the bounds. What else stands there are the check's own options."""

    warn: float | str | None = None
    fail: float | str | None = None


assert set(SOURCES) <= set(ContextShape.__struct_fields__)

_KINDS = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date with time",
    "date": "a date",
    "time": "a time of day",
}
LONGEST_KEY = 60
PLAIN_SECRETS = {
    "password": "password", "passwd": "password", "token": "token", "bearer_token": "token", "secret": "password",
    "api_key": "token", "apikey": "token", "credentials": "token",
}  # fmt: skip
"""Keys under which people write a secret itself, and the family of keys that says where one is kept."""


@dataclass
class Reader:
    """Reads the tables of one file. Every problem is noted, so that all of them can be told at once."""

    file: ConfigFile
    problems: list[ConfigError] = field(default_factory=list)

    def problem(self, path: KeyPath, what: str, hint: str = "") -> None:
        """Note a problem: file and line, the key, what is wrong with it."""
        self.problems.append(ConfigError(f"{self.file.origin(path)}: {key_text(path, LONGEST_KEY)} {what}", hint=hint))

    def read(self, table: Mapping[str, Any], path: KeyPath, shape: type[S], also: Iterable[str] = ()) -> S:
        """The table's keys, of the types in ``shape``; a key that is wrong is noted and left out. Keys in ``also``
        are passed over."""
        fields = _fields(shape)
        values: dict[str, Any] = {}
        for key, value in table.items():
            here = (*path, key)
            if key in also:
                continue
            if key not in fields:
                self._unknown(here, fields)
                continue
            try:
                values[key] = msgspec.convert(value, fields[key].type)
            except (msgspec.ValidationError, OverflowError) as error:
                # For a table msgspec does not tell which of its keys is wrong.
                if isinstance(value, dict) and "[...]" in str(error):
                    values[key] = self._each(value, here, fields[key].type)
                else:
                    self.problem(here, _expectation(str(error)))
        return shape(**values)

    def _each(self, table: Mapping[str, Any], path: KeyPath, kind: Any) -> dict[str, Any]:
        """The entries of a table that are of its kind; the others are noted, each by its own key."""
        values: dict[str, Any] = {}
        for key, value in table.items():
            try:
                values.update(msgspec.convert({key: value}, kind))
            except (msgspec.ValidationError, OverflowError) as error:
                self.problem((*path, key), _expectation(str(error)))
        return values

    def _unknown(self, path: KeyPath, fields: Iterable[str]) -> None:
        key = str(path[-1])
        family = PLAIN_SECRETS.get(key.lower())
        if family and f"{family}_file" in fields:
            self.problem(
                path,
                "would be a secret in the file itself",
                f"write {family}_file (a path), {family}_env (a variable's name) or {family}_command (a command that "
                "prints it) instead",
            )
            return
        self.problem(path, "is not a key that meshdiag knows", suggestion(key, fields))


@cache
def _fields(shape: type[S]) -> dict[str, msgspec.structs.FieldInfo]:
    """A shape's fields by key, worked out once: a file may hold a thousand nodes."""
    return {one.encode_name: one for one in msgspec.structs.fields(shape)}


def _expectation(message: str) -> str:
    """msgspec's message as the rest of a sentence: ``expects text in quotes, got a whole number``."""
    kinds, _, place = message.partition(" - at ")
    wanted, _, got = kinds.partition(", got ")
    names = [_KINDS.get(name.strip(), name.strip()) for name in wanted.removeprefix("Expected ").strip("`").split("|")]
    names = [name for name in names if name != "null"]
    if not kinds.startswith("Expected ") or not got:
        return "is out of range" if "range" in message else "has a value of the wrong kind"
    found = _KINDS.get(got.strip("`"), got.strip("`"))
    index = re.search(r"\$\[(\d+)\]", place)
    where = f" in place {int(index.group(1)) + 1}" if index else ""
    return f"expects {' or '.join(names)}{where}, got {found}"
