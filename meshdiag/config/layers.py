"""What one layer of configuration says: a file, the environment or the flags. Plain data, nothing is merged yet.

None means that the layer is silent. ``origins`` maps a key (``url``, ``job``, ``warn`` …) to the place it stands
at, as a person finds it: ``~/.config/meshdiag/config.toml:12``, ``MESHDIAG_PROMETHEUS_URL``, ``--prometheus-url``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshdiag.context import CheckSettings, Credentials, NodeAddress

SOURCES = ("prometheus", "alertmanager", "grafana", "loki", "jaeger", "tempo")
"""The outside systems that have an address, by their field in ``Context``."""

CERTIFICATE_KEYS = ("certificates", "peer_ca_file")
"""Where the mesh's certificates lie and who has signed them, by their fields in ``Context``."""

BUILT_IN = "built-in"


class Standing(StrEnum):
    """Where a layer comes from. A ``FOUND`` file lies in the working directory, where anybody may have put it:
    it may describe a mesh, never name a secret, and nothing secret of other layers goes where it points."""

    BUILT_IN = "built-in"
    USER = "user"
    FOUND = "found"
    GIVEN = "given"
    ENVIRONMENT = "environment"
    FLAGS = "flags"


class EndpointSettings(Struct):
    """What a layer says of one HTTP server. ``off`` switches the source off."""

    off: bool = False
    url: str | None = None
    timeout_s: float | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    headers: Mapping[str, str] | None = None
    credentials: Credentials | None = None
    origins: dict[str, str] = field(default_factory=dict)


class BlackboxSettings(Struct):
    """What a layer says of the blackbox_exporters beside the nodes. ``off``: this mesh has none."""

    off: bool = False
    url: str | None = None
    module: str | None = None
    timeout_s: float | None = None
    count: int | None = None
    ca_file: Path | None = None
    origins: dict[str, str] = field(default_factory=dict)


class NodeFiles(Struct, frozen=True):
    """Files of nodes in Prometheus' file_sd form: a glob, relative to ``folder``; ``origin`` is where it is named."""

    folder: Path
    pattern: str
    origin: str


class CheckLayer(Struct):
    """What a layer says of one check."""

    settings: CheckSettings
    origins: dict[str, str] = field(default_factory=dict)


class ContextSettings(Struct):
    """What a layer says of one context."""

    job: str | None = None
    node_label: str | None = None
    role_label: str | None = None
    peer_label: str | None = None
    loki_selector: str | None = None
    logs: tuple[str, ...] | None = None
    rules: tuple[str, ...] | None = None
    runbook_paths: tuple[str, ...] | None = None
    certificates: tuple[str, ...] | None = None
    peer_ca_file: Path | None = None
    nodes: tuple[NodeAddress, ...] | None = None
    node_files: tuple[NodeFiles, ...] | None = None
    endpoints: dict[str, EndpointSettings] = field(default_factory=dict)
    blackbox: BlackboxSettings | None = None
    checks: dict[str, CheckLayer] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


class LogFormat(Struct, frozen=True):
    """A log format of the user's: a regular expression with named groups, and where it stands."""

    regex: str
    origin: str


class Layer(Struct):
    """One layer. ``contexts`` by name (files); ``chosen`` is for whichever context is looked at (environment,
    flags)."""

    name: str
    standing: Standing
    path: Path | None = None
    default_context: str | None = None
    contexts: dict[str, ContextSettings] = field(default_factory=dict)
    chosen: ContextSettings | None = None
    checks: dict[str, CheckLayer] = field(default_factory=dict)
    log_formats: dict[str, LogFormat] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
