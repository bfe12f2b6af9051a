"""A real Docker engine for tests: a root of its own in a temporary folder, no bridge, no iptables, one image made of
busybox; containers, processes and mounts all gone when the block ends."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.binaries import need

READY_S = 30.0
IMAGE = "meshdiag-test:1"
APPLETS = ("sh", "echo", "sleep", "cat", "date", "seq", "head", "tr", "usleep", "kill")


@dataclass(frozen=True)
class Engine:
    """A running engine. ``host`` is its address as DOCKER_HOST takes it."""

    socket: Path

    @property
    def host(self) -> str:
        """``unix:///…/docker.sock``."""
        return f"unix://{self.socket}"

    def docker(self, *arguments: str) -> str:
        """Run the docker command against it; stdout and stderr together, as ``docker logs`` needs."""
        command = [need("docker"), "-H", self.host, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        output = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, output
        return output

    def run(self, name: str, script: str, *flags: str) -> None:
        """Start a container that runs a shell script."""
        self.docker("run", "-d", "--name", name, "--network", "none", *flags, IMAGE, "sh", "-c", script)

    def remove(self, *names: str) -> None:
        """Remove containers, running or not."""
        self.docker("rm", "-f", *names)


@contextlib.contextmanager
def docker_engine() -> Iterator[Engine]:
    """The engine. Skips, with the daemon's own reason, where it cannot start (no privileges)."""
    program = need("dockerd")
    need("docker")
    directory = Path(tempfile.mkdtemp(prefix="meshdiag-dockerd-"))
    socket = directory / "docker.sock"
    options = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"]
    places = [
        f"--data-root={directory / 'data'}",
        f"--exec-root={directory / 'exec'}",
        f"--pidfile={directory / 'pid'}",
    ]
    try:
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *options, *places, "-H", f"unix://{socket}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                engine = Engine(socket)
                _until_ready(engine, process, directory / "log")
                _import_image(engine)
                yield engine
                if names := engine.docker("ps", "-aq").split():
                    engine.remove(*names)
            finally:
                _stop(process)
    finally:
        left = _clean(directory)
    assert not left, f"the engine left these behind: {left}"


def _until_ready(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        asked = subprocess.run([need("docker"), "-H", engine.host, "version"], capture_output=True, timeout=10)
        if asked.returncode == 0:
            return
        time.sleep(0.05)
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["it says nothing"]
    pytest.skip(f"dockerd does not start here: {said[-1][:300]}")


def _import_image(engine: Engine) -> None:
    """An image of static busybox alone."""
    busybox = Path(need("busybox"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    command = [need("docker"), "-H", engine.host, "import", "-", IMAGE]
    subprocess.run(command, input=packed.getvalue(), check=True, capture_output=True, timeout=60)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _clean(directory: Path) -> list[str]:
    """End what is left and remove the folder; what had to be ended by force is returned."""
    left = []
    for pid, command in _processes(str(directory)):
        left.append(command)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for place in sorted(_mounts(str(directory)), key=len, reverse=True):
        subprocess.run(["umount", "-l", place], capture_output=True, timeout=10)
    shutil.rmtree(directory, ignore_errors=True)
    return left


def _processes(folder: str) -> Iterator[tuple[int, str]]:
    """Processes whose command line names a folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if folder in command and int(entry.name) != os.getpid():
                    yield int(entry.name), command


def _mounts(folder: str) -> list[str]:
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if f" {folder}/" in line]


def compose(service: str) -> list[str]:
    """Flags that make a container one of a compose service."""
    named = {"com.docker.compose.project": "mesh", "com.docker.compose.service": service}
    return [part for key, value in named.items() for part in ("--label", f"{key}={value}")]
