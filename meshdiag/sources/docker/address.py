"""Where the Docker engine is, found as its own command line does: flag, DOCKER_HOST, context, the usual sockets."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdiag.context import Endpoint
from meshdiag.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL = Path("/var/run/docker.sock")
TIMEOUT_S = 5.0
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
SMALL = 1 << 20
"""Bytes of a context's description that are read."""


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine: the HTTP ``endpoint``, and the ``socket`` underneath where it is a Unix socket. ``flags`` are what
    the ``docker`` command needs to reach the same one."""

    endpoint: Endpoint
    socket: Path | None = None
    flags: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The address for a person."""
        return f"unix://{self.socket}" if self.socket is not None else ""


def engine_address(host: str = "", environ: Mapping[str, str] | None = None) -> EngineAddress:
    """The engine that ``host`` names, else the one that the ``docker`` command would ask. Raises ``UsageError`` for
    an address that cannot be asked, ``ConfigError`` for a context that is not there."""
    environ = os.environ if environ is None else environ
    if host:
        return _address(host, ("-H", host), environ, "the Docker host")
    if environ.get("DOCKER_HOST"):
        return _address(environ["DOCKER_HOST"], (), environ, "DOCKER_HOST")
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "~").expanduser() / ".docker")
    context = environ.get("DOCKER_CONTEXT") or _current_context(folder)
    if context and context != "default":
        return _of_context(folder, context)
    return _socket(_first_socket(environ))


def _address(host: str, flags: tuple[str, ...], environ: Mapping[str, str], what: str) -> EngineAddress:
    scheme, _, rest = host.partition("://")
    if scheme == "unix" and rest.startswith("/"):
        return _socket(Path(rest), flags)
    if scheme in ("tcp", "http", "https") and rest:
        secure = scheme == "https" or bool(environ.get("DOCKER_TLS_VERIFY"))
        folder = environ.get("DOCKER_CERT_PATH")
        files = _tls_files(Path(folder)) if folder and secure else {}
        return EngineAddress(Endpoint(f"{'https' if secure else 'http'}://{rest}", TIMEOUT_S, **files), flags=flags)
    if scheme == "ssh":
        raise UsageError(
            f"{what} {host!r}: ssh is not spoken here",
            hint="forward the socket (ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and give unix:///tmp/docker.sock",
        )
    raise UsageError(
        f"{what} {host!r} is not an address of a Docker engine",
        hint="write unix:///PATH, tcp://HOST:PORT or https://HOST:PORT",
    )


def _socket(path: Path, flags: tuple[str, ...] = ()) -> EngineAddress:
    return EngineAddress(Endpoint("http://localhost", TIMEOUT_S), path, flags)


def _tls_files(folder: Path) -> dict[str, Any]:
    ca, cert, key = (folder / name for name in TLS_FILES)
    files: dict[str, Any] = {"ca_file": ca} if ca.exists() else {}
    return {**files, "cert_file": cert, "key_file": key} if cert.exists() and key.exists() else files


def _first_socket(environ: Mapping[str, str]) -> Path:
    """The first of the sockets that engines listen on by default; the usual one when there is none."""
    candidates = [USUAL]
    if environ.get("XDG_RUNTIME_DIR"):
        candidates += [
            Path(environ["XDG_RUNTIME_DIR"]) / "docker.sock",
            Path(environ["XDG_RUNTIME_DIR"]) / "podman/podman.sock",
        ]
    if environ.get("HOME"):
        candidates.append(Path(environ["HOME"]) / ".docker/run/docker.sock")
    candidates.append(Path("/run/podman/podman.sock"))
    return next((path for path in candidates if _is_there(path)), USUAL)


def _is_there(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:
        return False


def _current_context(folder: Path) -> str:
    try:
        name = _read(folder / "config.json").get("currentContext")
    except (OSError, ValueError):
        return ""
    return name if isinstance(name, str) else ""


def _of_context(folder: Path, name: str) -> EngineAddress:
    """The address that a context keeps (docker context inspect)."""
    place = hashlib.sha256(name.encode()).hexdigest()
    path = folder / "contexts" / "meta" / place / "meta.json"
    try:
        docker = _read(path)["Endpoints"]["docker"]
        host = docker["Host"]
        if not isinstance(host, str):
            raise TypeError
    except OSError as error:
        raise ConfigError(f"Docker's context {name!r} is not there ({path})", hint="see docker context ls") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"Docker's context {name!r} names no host ({path})", hint="see docker context inspect"
        ) from error
    tls = folder / "contexts" / "tls" / place / "docker"
    environ = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tls)} if tls.is_dir() else {}
    return _address(host, ("--context", name), environ, f"the host of Docker's context {name!r}")


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        found = json.loads(file.read(SMALL))
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found
