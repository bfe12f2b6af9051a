"""``meshdiag peers`` as a user types it: targets from everywhere, every format, the watch, and wrong usage."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshdiag.sources.probing import Target
from meshdiag.sources.probing.targets import typed_target
from tests.program import clean_environment, run
from tests.terminal import on_terminal

FAST = ("--method", "tcp", "--count", "2", "--interval", "0", "--timeout", "500ms")


@pytest.fixture
def port() -> Iterator[int]:
    """A port of the loopback that accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        yield listening.getsockname()[1]


def test_what_is_typed_is_probed(port: int) -> None:
    """Host with port, another host, a URL: a row each, and the checks about the same probes."""
    ran = run("peers", f"127.0.0.1:{port}", f"127.0.0.2:{port}", "-o", "json", *FAST)
    rows = {row["peer"]: row for row in ran.report["data"]}
    assert ran.code == 2
    assert (rows[f"127.0.0.1:{port}"]["verdict"], rows[f"127.0.0.1:{port}"]["received"]) == ("pass", 2)
    assert rows[f"127.0.0.2:{port}"]["trouble"] == "tcp refused"
    assert ran.verdicts == {"peers.latency": "fail", "peers.loss": "pass", "peers.jitter": "skip"}
    assert ran.check("peers.latency")["evidence"][0]["command"] == f"nc -zvw 1 127.0.0.2 {port}"


def test_csv_has_a_row_a_peer(port: int) -> None:
    """Raw seconds, one line a peer, keys as in JSON."""
    ran = run("peers", f"127.0.0.1:{port}", "-o", "csv", *FAST)
    (row,) = csv.DictReader(io.StringIO(ran.stdout))
    assert (row["verdict"], row["method"], row["sent"], row["loss"]) == ("pass", "tcp", "2", "0.0")
    assert 0 < float(row["median_s"]) < 0.5


def test_a_file_of_lines_and_stdin(tmp_path: Path, port: int) -> None:
    """A target a line with name and role, comments, blank lines; ``-`` is stdin; the same target counts once."""
    lines = f"# the mesh\n\n127.0.0.1:{port}  trainer-1 trainer # first\n127.0.0.1:{port} trainer-1 trainer\n"
    file = tmp_path / "targets"
    file.write_text(lines)
    for ran in (
        run("peers", "--targets", str(file), "-o", "json", *FAST),
        run("peers", "--targets", "-", "-o", "json", *FAST, stdin=lines),
    ):
        (row,) = ran.report["data"]
        assert (row["peer"], row["role"], row["address"]) == ("trainer-1", "trainer", f"127.0.0.1:{port}")


def test_a_file_as_prometheus_takes_it(tmp_path: Path, port: int) -> None:
    """file_sd: the peer address is a label, so are name and role; what is scraped stays the instance."""
    file = tmp_path / "targets.json"
    labels = {"node": "trainer-1", "role": "trainer", "peer_address": f"127.0.0.1:{port}"}
    file.write_text(json.dumps([{"targets": ["127.0.0.1:9091"], "labels": labels}]))
    (row,) = run("peers", "--targets", str(file), "-o", "json", *FAST).report["data"]
    assert (row["peer"], row["instance"], row["address"]) == ("trainer-1", "127.0.0.1:9091", f"127.0.0.1:{port}")
    file.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}", f"localhost:{port}"], "labels": labels}]))
    rows = run("peers", "--targets", str(file), "-o", "json", *FAST).report["data"]
    assert sorted(row["address"] for row in rows) == [f"127.0.0.1:{port}", f"localhost:{port}"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a b",), "is no host"),
        (("ftp://h/",), "is no http:// or https:// URL"),
        (("h:70000",), "is not host:port"),
        (("\x1b[31mh",), "control characters"),
        (("h", "--method", "udp"), "none of auto, icmp, tcp, tls, http"),
        (("h", "--count", "0"), "expected 1 to 10,000"),
        (("h", "--interval", "1d"), "longer than 10 minutes"),
        (("h", "--at", "1h ago"), "the present alone"),
        (("h", "--only", "nodes.up"), "leave no check of probes"),
        (("--targets", "/no-such-file"), "cannot be read: no such file"),
        (("--targets", "/dev/null"), "names no target"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    """What is wrong is said before anything is sent."""
    ran = run("peers", *arguments)
    assert (ran.code, ran.stdout) == (64, "")
    assert words in ran.stderr
    assert "\x1b" not in ran.stderr


@pytest.mark.parametrize("text", ["[1, 2", '[{"targets": "a"}]', "[3]", "a:1\nb c:x\n/etc\n", "\xff\xfe\x00"])
def test_a_file_that_is_none_is_one_sentence_with_the_place(tmp_path: Path, text: str) -> None:
    """Broken JSON, another shape, a line that names no target: which file, where."""
    file = tmp_path / "broken"
    file.write_text(text, "latin-1")
    ran = run("peers", "--targets", str(file))
    assert ran.code == 64
    assert str(file) in ran.stderr


def test_hostile_names_are_neutralised(tmp_path: Path, port: int) -> None:
    """What a file calls a peer neither colours the terminal nor passes for markup."""
    file = tmp_path / "targets.json"
    labels = {"node": "evil\x1b[31m[bold]\u202e", "role": "a\r\nb"}
    file.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": labels}]))
    ran = run("peers", "--targets", str(file), *FAST)
    assert "\x1b" not in ran.stdout and "\u202e" not in ran.stdout
    assert "evil\\x1b[31m[bold]" in ran.stdout


def test_a_password_in_a_url_is_shown_nowhere(port: int) -> None:
    """Neither in the row nor in the command that shows it again."""
    assert typed_target("https://me:s3cret@h.example/x") == Target("h.example:443", url="https://h.example/x")
    ran = run("peers", f"http://me:s3cret@127.0.0.1:{port}/", "--count", "1", "--timeout", "200ms", "--explain")
    assert "s3cret" not in ran.stdout + ran.stderr


def test_without_monitoring_the_configured_peers_are_probed(tmp_path: Path, port: int) -> None:
    """A Prometheus that refuses is a note; the configuration knows the peers; thresholds are the configuration's."""
    config = tmp_path / "meshdiag.toml"
    config.write_text(
        'default_context = "x"\n[contexts.x]\nprometheus = "http://127.0.0.1:1"\n'
        f'[[contexts.x.nodes]]\naddress = "127.0.0.1:9091"\nname = "trainer-1"\npeer = "127.0.0.1:{port}"\n'
        '[checks."peers.latency"]\nwarn = 1e-9\nmedian_times = 0\n'
    )
    ran = run("--config", str(config), "peers", "-o", "json", *FAST)
    (row,) = ran.report["data"]
    assert (ran.code, row["peer"], row["node"], row["verdict"]) == (1, "trainer-1", "trainer-1", "warn")
    assert any("nodes of the configuration" in note for note in ran.report["notes"])


PAUSES_S = (1.5, 4.0, 12.0)
"""How long a run goes on before Ctrl-C: on a machine with much else to do, longer than a start takes."""


def interrupted(*arguments: str, enough: Callable[[str], bool]) -> tuple[int, str]:
    """Exit code and output of a run that is interrupted; later where nothing had been seen yet to speak of."""
    for pause_s in PAUSES_S:
        code, output = _interrupted_after(pause_s, *arguments)
        if enough(output):
            break
    return code, output


def _interrupted_after(pause_s: float, *arguments: str) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", "peers", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    try:
        time.sleep(pause_s)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert errors == ""
    return process.returncode, output


def seen(output: str) -> int:
    """How many answers the best peer of a JSON answer gave."""
    rows = (json.loads(output)["data"] if output else None) or ()
    return max((row["received"] for row in rows), default=0)


def test_ctrl_c_ends_with_what_was_seen_until_then(port: int) -> None:
    """As ping does: a run that would take an hour, stopped after a second, has its numbers and its closed port."""
    endless = ("--count", "9999", "--interval", "0.1", "-o", "json")
    targets = (f"127.0.0.1:{port}", f"127.0.0.2:{port}")
    code, output = interrupted(*targets, *endless, enough=lambda output: seen(output) >= 2)
    report = json.loads(output)
    good, closed = sorted(report["data"], key=lambda row: row["peer"])
    assert code == 130
    assert 2 <= good["received"] == good["sent"] < 9999
    assert good["verdict"] == "pass" and closed["verdict"] == "fail"
    assert closed["trouble"].endswith("refused")
    assert "interrupted: this is what was seen until then" in report["notes"]


def test_a_watch_prints_blocks_and_ends_with_what_was_seen_in_all(port: int) -> None:
    """Piped, each look is a block; Ctrl-C sums them up."""
    arguments = (f"127.0.0.1:{port}", "--watch", *FAST)
    code, output = interrupted(*arguments, enough=lambda output: output.count(" PASS  ") >= 2)
    assert code == 130
    assert output.count(" PASS  ") >= 2
    assert "looks together" in output or "1 look together" in output


def test_a_watch_in_another_format_is_one_document(port: int) -> None:
    """JSON at the end alone, of all probes together."""
    arguments = (f"127.0.0.1:{port}", "--watch", "-o", "json", *FAST)
    code, output = interrupted(*arguments, enough=lambda output: seen(output) >= 2)
    (row,) = json.loads(output)["data"]
    assert code == 130
    assert row["sent"] == row["received"] >= 2


def test_a_watch_on_a_terminal_is_drawn_in_place(port: int) -> None:
    """The next look is drawn over the one before; what stays is the sum."""
    shown = on_terminal("peers", f"127.0.0.1:{port}", "--watch", *FAST, interrupt_s=4)
    assert shown.code == 130
    assert "Ctrl-C ends it" in shown.output
    assert "\x1b[1A" in shown.output or "\x1b[2K" in shown.output
    assert shown.output.rstrip().endswith(("looks together", "1 look together"))


def test_a_closed_pipe_is_no_error(port: int) -> None:
    """``meshdiag peers | head`` ends quietly."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "meshdiag", "peers", f"127.0.0.1:{port}", *FAST],
        stdout=write, stderr=subprocess.PIPE, text=True, env=clean_environment(), timeout=30,
    )  # fmt: skip
    os.close(write)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
