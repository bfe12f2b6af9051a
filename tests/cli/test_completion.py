"""Completion in real shells, and what completes while a person types."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from meshdiag.completing import complete_labels
from meshdiag.completion_scripts import FILES, script
from tests.program import clean_environment, run

COMPLETIONS = Path(__file__).parents[2] / "completions"


def _shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``meshdiag`` is this tree's, with an empty home and working directory."""
    shim = tmp_path / "bin/meshdiag"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m meshdiag "$@"\n')
    shim.chmod(0o755)
    (tmp_path / "work").mkdir()
    return clean_environment(
        PATH=f"{shim.parent}:{os.environ['PATH']}", HOME=str(tmp_path), TERM="dumb", PS1="$ ", PROMPT="$ "
    )


def _in_shell(argv: list[str], environment: dict[str, str], cwd: Path) -> str:
    done = subprocess.run(
        argv,
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("shell", FILES)
def test_the_files_are_what_the_program_prints(shell: str) -> None:
    """completions/ is not stale. When it is: meshdiag completion SHELL > completions/FILE."""
    path = COMPLETIONS / FILES[shell]
    printed = run("completion", shell).stdout
    assert printed == script(shell)
    assert path.read_text() == printed, f"stale: run 'meshdiag completion {shell} > completions/{path.name}'"


class Typed:
    """An interactive shell behind a terminal of its own, into which a test types."""

    def __init__(self, argv: list[str], environment: dict[str, str], cwd: Path) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            argv, env=environment, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        self.seen = ""
        os.write(self.master, keys.encode())

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Wait until the terminal has shown a text since the last keys."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} did not come, but {self.seen!r}"
            self.seen += os.read(self.master, 4096).decode(errors="replace")

    def close(self) -> None:
        """End the shell."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


@contextlib.contextmanager
def _typed(argv: list[str], environment: dict[str, str], cwd: Path) -> Iterator[Typed]:
    shell = Typed(argv, environment, cwd)
    try:
        yield shell
    finally:
        shell.close()


def test_bash_completes_as_one_types(environment: dict[str, str], tmp_path: Path) -> None:
    """In a real bash: a command, a context behind an equals sign, a check although a file of that name lies there."""
    (tmp_path / "work/meshdiag.toml").write_text("[contexts.staging-2]\n")
    (tmp_path / "work/consensus.round-duration.log").touch()
    argv = [_shell("bash"), "--norc", "--noprofile", "-i"]
    with _typed(argv, environment, tmp_path / "work") as bash:
        bash.type(f"source {COMPLETIONS / 'meshdiag.bash'} && echo loa''ded\n")
        bash.wait_for("loaded")
        bash.type("meshdiag hea\t")
        bash.wait_for("health ")
        bash.type("--context=stag\t")
        bash.wait_for("staging-2 ")
        bash.type("--only consensus.round-d\t")
        bash.wait_for("uration ")
        bash.type("#\x01#\necho do''ne\n")
        bash.wait_for("done")


def test_zsh_completes_as_one_types(environment: dict[str, str], tmp_path: Path) -> None:
    """In a real zsh, with its completion system on, the file in its fpath."""
    argv = [_shell("zsh"), "-f", "-i"]
    with _typed(argv, environment, tmp_path / "work") as zsh:
        zsh.type(f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -u -D && echo loa''ded\n")
        zsh.wait_for("loaded")
        zsh.type("meshdiag hea\t")
        zsh.wait_for("health")


def test_fish_completes(environment: dict[str, str], tmp_path: Path) -> None:
    """In a real fish, asked by its own command for completions."""
    command = f"source {COMPLETIONS / 'meshdiag.fish'}; complete -C 'meshdiag hea'; complete -C 'meshdiag checks cap'"
    offered = _in_shell([_shell("fish"), "--no-config", "-c", command], environment, tmp_path / "work")
    assert "health" in offered
    assert "capacity.cpu" in offered


def _complete(line: str, cwd: Path, **environment: str) -> list[str]:
    """What a shell is told for a command line; nothing may be on stderr."""
    words = line.split(" ")
    ran = run(
        environment={
            "_MESHDIAG_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            **environment,
        },
        cwd=cwd,
    )
    assert ran.stderr == ""
    return [word.removeprefix("plain,") for word in ran.stdout.splitlines() if word]


class Answer(BaseHTTPRequestHandler):
    """A Prometheus that knows the words it is given, after a while."""

    words: tuple[str, ...] = ()
    release = threading.Event()
    asked: list[str] = []  # noqa: RUF012 - shared with the test on purpose

    def do_GET(self) -> None:
        """Any question has the same answer."""
        self.asked.append(unquote(self.path))
        self.release.wait(30)
        body = json.dumps({"status": "success", "data": self.words}).encode()
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Answer]]]:
    """Its URL, and its handler to set the words and hold the answers back."""
    handler = type("Handler", (Answer,), {"release": threading.Event(), "asked": []})
    handler.release.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", handler
        handler.release.set()
        running.shutdown()
        thread.join()


def test_contexts_and_checks_complete(tmp_path: Path) -> None:
    """From the configuration and from the checks, globs included."""
    (tmp_path / "meshdiag.toml").write_text("[contexts.lab]\n[contexts.prod]\n")
    assert _complete("meshdiag --context ", tmp_path) == ["lab", "prod", "local"]
    assert "capacity.*" in _complete("meshdiag health --only capac", tmp_path)
    assert "capacity.cpu" in _complete("meshdiag checks capacity.c", tmp_path)


def test_metric_names_come_from_the_server_and_the_catalog(tmp_path: Path, server: tuple[str, type[Answer]]) -> None:
    """Names that only the server knows are offered beside those of the catalog."""
    url, handler = server
    handler.words = ("mesh_own_thing", "mesh_peer_count", "other")
    offered = _complete("meshdiag query mesh_", tmp_path, MESHDIAG_PROMETHEUS_URL=url)
    assert "mesh_own_thing" in offered
    assert offered.count("mesh_peer_count") == 1
    assert "mesh_bandwidth_bytes_per_second" in offered
    assert "other" not in offered


def test_labels_and_their_values_complete(
    tmp_path: Path, server: tuple[str, type[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``severity=`` is a label until the equals sign, then a value of it, asked of the server."""
    url, handler = server
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MESHDIAG_PROMETHEUS_URL", url)
    option = click.Option(["--label"])
    ctx = click.Context(click.Command("x", params=[option]))
    handler.words = ("severity", "job")
    assert [item.value for item in complete_labels(ctx, option, "sev")] == ["severity="]
    handler.words = ("critical", "warning", "spaced out")
    assert [item.value for item in complete_labels(ctx, option, "severity=")] == [
        "severity=critical",
        "severity=warning",
    ]
    assert [path.partition("?")[0] for path in handler.asked] == ["/api/v1/labels", "/api/v1/label/severity/values"]


def test_a_server_that_hangs_costs_nothing_but_its_names(tmp_path: Path, server: tuple[str, type[Answer]]) -> None:
    """The catalog's names come although the server never answers; the test would hang if they waited for it."""
    url, handler = server
    handler.release.clear()
    assert "mesh_peer_count" in _complete("meshdiag query mesh_", tmp_path, MESHDIAG_PROMETHEUS_URL=url)
    assert handler.asked


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "ftp://wrong"])
def test_a_server_that_is_not_there_is_quiet(tmp_path: Path, url: str) -> None:
    """Whatever is wrong, the answer is the catalog's and stderr stays empty."""
    assert "mesh_peer_count" in _complete("meshdiag query mesh_", tmp_path, MESHDIAG_PROMETHEUS_URL=url)


def test_a_broken_configuration_is_quiet(tmp_path: Path) -> None:
    """Completion is no place for error messages: contexts stay empty, checks still come."""
    (tmp_path / "meshdiag.toml").write_text("][")
    assert _complete("meshdiag --context ", tmp_path) == []
    assert "capacity.cpu" in _complete("meshdiag checks cap", tmp_path)


def test_names_that_a_shell_would_obey_are_not_offered(tmp_path: Path, server: tuple[str, type[Answer]]) -> None:
    """A shell puts a completion on the command line as it is: neither a server nor a file can place a command there."""
    url, handler = server
    handler.words = ("mesh_$(touch${IFS}owned)", "mesh_;reboot", "mesh_`id`", "mesh_\nx", "mesh_\x1b[31m", "mesh_ok")
    offered = _complete("meshdiag query mesh_", tmp_path, MESHDIAG_PROMETHEUS_URL=url)
    assert "mesh_ok" in offered
    assert all(name.replace("_", "a").isalnum() for name in offered)
    (tmp_path / "meshdiag.toml").write_text('[contexts."x;reboot"]\n[contexts."$(id)"]\n[contexts.xy]\n')
    assert _complete("meshdiag --context x", tmp_path) == ["xy"]


def test_no_password_command_runs_for_a_key_press(tmp_path: Path, server: tuple[str, type[Answer]]) -> None:
    """A password manager must not open because of a Tab: such a server is not asked."""
    url, handler = server
    config = tmp_path / "c.toml"
    config.write_text(f'[contexts.local.prometheus]\nurl = "{url}"\ntoken_command = "touch {tmp_path}/ran"\n')
    assert "mesh_peer_count" in _complete("meshdiag query mesh_", tmp_path, MESHDIAG_CONFIG=str(config))
    assert handler.asked == []
    assert not (tmp_path / "ran").exists()
