"""Real servers for tests: Prometheus, VictoriaMetrics and Alertmanager on ephemeral ports of 127.0.0.1, each in
a directory of its own, stopped and cleaned up when the block ends."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.binaries import need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

READY_S = 20.0


@dataclass(frozen=True)
class Running:
    """A running server: its address (base path included), its process, its directory."""

    url: str
    process: subprocess.Popen[bytes]
    directory: Path

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        """POST to it, for setting things up."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def prometheus(
    history: str = "",
    *,
    rules: dict[str, Any] | None = None,
    scrapes: Sequence[dict[str, Any]] = (),
    flags: Sequence[str] = (),
    web: dict[str, Any] | None = None,
    prefix: str = "",
    wait: bool = True,
    more: Mapping[str, Any] | None = None,
) -> Iterator[Running]:
    """Prometheus upon ``history`` (OpenMetrics text, turned into blocks before the start). ``more``: what else its
    configuration holds."""
    program, promtool = need("prometheus"), need("promtool")
    with _directory() as directory:
        if history:
            _blocks(promtool, history, directory)
        config: dict[str, Any] = {
            "global": {"evaluation_interval": "1s", "scrape_interval": "1s", "scrape_timeout": "1s"}
        }
        if scrapes:
            config["scrape_configs"] = list(scrapes)
        config |= more or {}
        if rules is not None:
            (directory / "rules.yml").write_text(json.dumps(rules))
            config["rule_files"] = ["rules.yml"]
        (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        port = free_port()
        options = [
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            "--storage.tsdb.retention.time=60d",
            f"--web.listen-address=127.0.0.1:{port}",
            *flags,
        ]
        if web is not None:
            (directory / "web.yml").write_text(json.dumps(web))
            options.append(f"--web.config.file={directory / 'web.yml'}")
        if prefix:
            options += [f"--web.route-prefix={prefix}", f"--web.external-url=http://127.0.0.1:{port}{prefix}"]
        scheme = "https" if web and "tls_server_config" in web else "http"
        with _run([program, *options], directory, f"{scheme}://127.0.0.1:{port}{prefix}") as running:
            if wait:
                _until_ready(running, "/-/ready")
            yield running


@contextlib.contextmanager
def victoria_metrics(samples: str = "") -> Iterator[Running]:
    """VictoriaMetrics holding ``samples`` (exposition text with times in milliseconds)."""
    program = need("victoria-metrics")
    with _directory() as directory:
        port = free_port()
        options = [
            f"-storageDataPath={directory / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s",
            "-memory.allowedBytes=64MB",
        ]
        with _run([program, *options], directory, f"http://127.0.0.1:{port}") as running:
            _until_ready(running, "/-/ready")
            if samples:
                running.post("/api/v1/import/prometheus", samples.encode(), "text/plain")
                with urllib.request.urlopen(running.url + "/internal/force_flush", timeout=10):
                    pass
            yield running


@contextlib.contextmanager
def alertmanager(config: dict[str, Any], *, flags: Sequence[str] = (), prefix: str = "") -> Iterator[Running]:
    """A single Alertmanager."""
    program = need("alertmanager")
    with _directory() as directory:
        (directory / "alertmanager.yml").write_text(json.dumps(config))
        port = free_port()
        options = [
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            *flags,
        ]
        if prefix:
            options.append(f"--web.route-prefix={prefix}")
        with _run([program, *options], directory, f"http://127.0.0.1:{port}{prefix}") as running:
            _until_ready(running, "/-/ready")
            yield running


def open_metrics(series: Iterable[tuple[str, Iterable[tuple[float, float]]]]) -> str:
    """OpenMetrics text of (series, its (time in s, value)); series of one name must follow each other."""
    lines = [f"{name} {value} {time:.3f}" for name, points in series for time, value in points]
    return "\n".join([*lines, "# EOF", ""])


def _blocks(promtool: str, history: str, directory: Path) -> None:
    (directory / "history.txt").write_text(history)
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h"]
    paths = [str(directory / "history.txt"), str(directory / "data")]
    subprocess.run([*command, *paths], check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="meshdiag-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _run(command: list[str], directory: Path, url: str) -> Iterator[Running]:
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield Running(url, process, directory)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _until_ready(running: Running, path: str) -> None:
    """Wait until the server is ready; 401 counts, for it covers readiness as well."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(running.url + path, timeout=2, context=trusting):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 401:
                return
        except OSError:
            pass
        if running.process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"the server did not become ready: {(running.directory / 'log').read_text()[-2000:]}")
