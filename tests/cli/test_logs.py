"""``meshdiag logs`` as a user types it: what comes out, where it goes, and what the exit code says."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.program import Ran, clean_environment, run
from tests.terminal import on_terminal

START = datetime(2026, 3, 9, 3, 0, tzinfo=UTC)


def text_line(place: int, level: str = "INFO", component: str = "network", message: str = "heartbeat peers=4") -> str:
    """A line of the mesh's text log, so many seconds after ``START``."""
    stamp = (START + timedelta(seconds=place)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return f"{stamp} {level:<5} {component} node=trainer-{place % 3} {message}"


def json_line(place: int, level: str = "INFO", **more: object) -> str:
    """A record of the mesh's JSON log."""
    stamp = (START + timedelta(seconds=place)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    told = {"ts": stamp, "level": level, "component": "consensus", "node": f"trainer-{place % 3}", "message": "round"}
    return json.dumps({**told, **more}, separators=(",", ":"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Sixty lines of text: every tenth an error, every fifth else a warning of the consensus."""
    path = tmp_path / "agent-mesh.log"
    lines = [
        text_line(n, "ERROR", "storage", f"write failed block={n}")
        if n % 10 == 0
        else text_line(n, "WARN", "consensus", f"slow round {n}")
        if n % 5 == 0
        else text_line(n)
        for n in range(60)
    ]
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture
def ndjson(tmp_path: Path) -> Path:
    """Thirty records of JSON, every third with a round."""
    path = tmp_path / "agent-mesh.json"
    lines = [
        json_line(n, "INFO" if n % 10 else "ERROR", **({} if n % 3 else {"consensus": {"round": n, "ok": n % 2 == 0}}))
        for n in range(30)
    ]
    path.write_text("\n".join([*lines, ""]))
    return path


def lines_of(path: Path, *wanted: int) -> str:
    """Some lines of a file, by their place from 0, as they stand."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(lines[place] for place in wanted)


def logs(*arguments: str | Path, **more) -> Ran:
    """Run the command."""
    return run("logs", *map(str, arguments), **more)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--level", "error"), range(0, 60, 10)),
        (("-l", "warn+"), range(0, 60, 5)),
        (("-l", "WARNING,err"), range(0, 60, 5)),
        (("--component", "consensus,storage", "--tail", "2"), (50, 55)),
        (("--node", "TRAINER-1", "--head", "2"), (1, 4)),
        (("--grep", "block=[34]0"), (30, 40)),
        (("-F", "-e", "block=3"), (30,)),
        (("-i", "-e", "SLOW ROUND 5"), (5, 55)),
        (("-l", "warn+", "-v", "-e", "slow|=0"), (10, 20, 30, 40, 50)),
        (("-e", "round", "-e", "15"), (15,)),
        (("--since", "2026-03-09T03:00:57Z"), (57, 58, 59)),
        (("--since", "1773025257", "--until", "1773025259000"), (57, 58)),
        (("--at", "2026-03-09T03:00:30Z", "--window", "1s"), (29, 30)),
        (("--since", "2026-03-09T03:00:20", "--until", "2026-03-09 03:00:21", "--utc"), (20,)),
        (("-F", "-e", "block=30", "-C", "1"), (29, 30, 31)),
        (("-F", "-e", "block=30", "-B", "2"), (28, 29, 30)),
        (("-F", "-e", "block=30", "-A", "2"), (30, 31, 32)),
        (("--where", "level = warn and message contains '5'"), (5, 15, 25, 35, 45, 55)),
        (("--tail", "0"), ()),
        (("--grep", "nothing like it"), ()),
    ],
)
def test_raw_lines_are_chosen_and_stay_as_they_are(text, flags, wanted):
    """Through a pipe come the very bytes of the lines that were asked for, and 0 also when there are none."""
    ran = logs(text, *flags)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == lines_of(text, *wanted)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--where", "consensus.round > 5 and consensus.ok = true"), (6, 12, 18, 24)),
        (("--field", "consensus.round", "--tail", "1"), (27,)),
        (("--errors", "-v", "-e", '"round":'), (10, 20)),
    ],
)
def test_fields_of_json_are_conditions(ndjson, flags, wanted):
    """--where and --field look into records of JSON."""
    assert logs(ndjson, *flags).stdout == lines_of(ndjson, *wanted)


def test_json_is_one_normalised_record_a_line(text):
    """The keys are those that are documented, whatever the format of the log."""
    ran = logs(text, "-e", "block=30", "-o", "json")
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [
        {
            "ts": "2026-03-09T03:00:30Z",
            "level": "error",
            "component": "storage",
            "node": "trainer-0",
            "message": "node=trainer-0 write failed block=30",
            "fields": {},
            "file": str(text),
            "line": 31,
        }
    ]


def test_csv_has_a_head_and_no_formula(tmp_path):
    """A spreadsheet gets columns, and runs nothing of what a log holds."""
    path = tmp_path / "a.json"
    path.write_text(json_line(1, message="=cmd|' /C calc'!A0", x=[1]) + "\n")
    head, row = logs(path, "-o", "csv").stdout.splitlines()
    assert head == "ts,level,component,node,message,fields,file,line"
    assert "'=cmd" in row


def test_table_elsewhere_has_dates_and_no_colour(text, ndjson):
    """Lines for people in a file bear their date and their file; FORCE_COLOR colours them."""
    ran = logs(text, ndjson, "--level", "error", "--head", "2", "-o", "table", "--utc")
    assert ran.stdout.splitlines() == [
        "2026-03-09 03:00:00.000 ERROR agent-mesh.log storage trainer-0 node=trainer-0 write failed block=0",
        "2026-03-09 03:00:00.000 ERROR agent-mesh.json consensus trainer-0 round consensus.round=0 consensus.ok=true",
    ]
    forced = logs(text, "--head", "1", "-o", "table", environment={"FORCE_COLOR": "1"})
    assert "\x1b[31mERROR" in forced.stdout
    assert "\x1b" not in logs(text, "-o", "table", environment={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout


def test_files_merge_by_time_and_are_named_on_request(text, ndjson):
    """Records of several logs come in the order of time; -H names them as grep does."""
    ran = logs(ndjson, text, "--level", "error", "--until", "2026-03-09T03:00:15Z", "-H")
    assert [line.split(":")[:2] for line in ran.stdout.splitlines()] == [
        [str(path), number] for number in ("1", "11") for path in sorted((ndjson, text), key=[ndjson, text].index)
    ]


def test_rotated_siblings_join_by_themselves(text, tmp_path):
    """What rotation left of a log comes before it, compressed or not."""
    old = [text_line(n, "ERROR", message=f"old {n}") for n in (-50, -20)]
    with gzip.open(tmp_path / "agent-mesh.log.2.gz", "wt") as packed:
        packed.write(old[0] + "\n")
    (tmp_path / "agent-mesh.log.1").write_text(old[1] + "\n")
    ran = logs(text, "-l", "error", "--head", "3")
    assert ran.stdout == "\n".join([*old, lines_of(text, 0)])
    assert logs(tmp_path, "-l", "error", "--head", "1").stdout == old[0] + "\n"
    assert logs(f"{tmp_path}/*.log*", "-l", "error", "--count").stdout == "8\n"


def test_stdin_is_a_log(text):
    """- is what comes through the pipe, and a verdict can be had of it."""
    lines = text.read_text()
    assert logs("-", "-l", "error", "--tail", "1", stdin=lines).stdout == lines_of(text, 50)
    ran = logs("-", "--errors", "-q", stdin=lines.replace("INFO", "ERROR"))
    assert (ran.code, ran.stderr) == (1, "")
    assert "WARN logs.errors" in ran.stdout


def test_jq_goes_over_each_record(ndjson, text):
    """JSON goes in as it stands, text as an object; what jq makes of a record is a line."""
    pytest.importorskip("jq")
    assert logs(ndjson, "--jq", ".consensus // empty | .round", "--tail", "9").stdout == "21\n24\n27\n"
    assert logs(text, "--jq", "[.level, .node]", "--head", "1").stdout == '["error","trainer-0"]\n'
    wrong = logs(ndjson, "--jq", ".a[")
    assert (wrong.code, wrong.stdout) == (64, "")
    assert "--jq: " in wrong.stderr
    failing = logs(ndjson, "--jq", ".message.x", "--head", "2")
    assert (failing.code, failing.stdout) == (0, "")
    assert "jq could not work on some records" in failing.stderr


def test_without_the_binding_jq_is_a_sentence(ndjson, tmp_path):
    """Where the extra is not installed, the user is told what to install."""
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow/jq.py").write_text("raise ImportError('no jq here')")
    ran = logs(ndjson, "--jq", ".", environment={"PYTHONPATH": str(tmp_path / "shadow")})
    assert ran.code == 64
    assert "pip install 'meshdiag[jq]'" in ran.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--level", "errror"), "did you mean error?"),
        (("--grep", "a("), "is no regular expression"),
        (("--where", "a >"), "expected a value"),
        (("--since", "teatime"), "--since: 'teatime' is not a moment"),
        (("--since", "2999-01-01T00:00:00Z"), "is still to come"),
        (("--since", "5m", "--until", "10m"), "is not before"),
        (("--at", "03:12", "--since", "5m"), "say two things"),
        (("--window", "5m"), "--window needs --at"),
        (("-v",), "there is none"),
        (("-q",), "which --errors asks for"),
        (("--count", "--top"), "are two answers"),
        (("--follow", "--until", "1m"), "has no end"),
        (("--tail", "x"), "is no whole number"),
        (("--unit", "ssh.service"), "belongs to --source journal"),
        (("--kube-context", "prod"), "--kube-context belongs to --source kubernetes"),
        (("--by", "node"), "what --stats counts by"),
        (("--field", ""), "names no field"),
        (("--level", ","), "names no level"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(text, flags, said):
    """Wrong usage is said before anything is read, with 64."""
    ran = logs(text, *flags)
    assert (ran.code, ran.stdout) == (64, "")
    assert said in ran.stderr


def test_a_wrong_condition_has_a_caret(text):
    """The place stands under the condition."""
    *_, shown, caret, _hint = logs(text, "--where", "a = 1 and and").stderr.splitlines()
    assert shown[caret.index("^") :] == "and"


def test_what_cannot_be_read_is_said(text, tmp_path):
    """A file that is not here is named; when nothing is left, that is unknown, not fine."""
    ran = logs(text, tmp_path / "gone.log", "--tail", "1")
    assert (ran.code, ran.stdout) == (0, lines_of(text, 59))
    assert "gone.log: no such file" in ran.stderr
    judged = logs(text, tmp_path / "gone.log", "--errors", "-q")
    assert judged.code == 3, "what was named and not read is unknown"
    assert f"{tmp_path}/gone.log: no such file" in judged.stdout
    none = logs(tmp_path / "gone.log")
    assert (none.code, none.stdout) == (3, "")
    assert "gone.log" in none.stderr
    unnamed = logs(environment={"MESHDIAG_LOGS": str(tmp_path / "gone.log")})
    assert unnamed.code == 3
    assert "--source loki" in unnamed.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said(text):
    """A log of another user is unknown, with the reason."""
    text.chmod(0)
    ran = logs(text, "--errors")
    assert ran.code == 3
    assert "permission denied" in ran.stderr


def test_odd_files_do_no_harm(tmp_path):
    """An empty file, a binary one, a torn line, other encodings: no traceback, and the good line is found."""
    (tmp_path / "empty.log").touch()
    (tmp_path / "binary.log").write_bytes(bytes(range(256)) * 64)
    good = text_line(1, "ERROR").encode()
    (tmp_path / "odd.log").write_bytes(b"\xef\xbb\xbf" + good + b" \xff\xfe\x00\r\n" + text_line(2).encode()[:20])
    printed = {
        name: subprocess.run(
            [sys.executable, "-m", "meshdiag", "logs", str(tmp_path / name), *flags],
            env=clean_environment(), capture_output=True, timeout=30, check=True,
        ).stdout
        for name, flags in (("empty.log", ()), ("binary.log", ()), ("odd.log", ("-l", "error")))
    }  # fmt: skip
    assert printed["empty.log"] == b""
    assert printed["binary.log"] == bytes(range(256)) * 64 + b"\n"
    assert good in printed["odd.log"]
    assert b"\xff\xfe\x00" in printed["odd.log"]


def recent(level: str, count: int, message: str = "boom", spread: float = 300, node: str = "trainer-1") -> list[str]:
    """Lines of the last minutes, evenly spread, oldest first."""
    now = datetime.now(UTC)
    stamps = [now - timedelta(seconds=spread * (count - n) / count) for n in range(count)]
    return [f"{one:%Y-%m-%dT%H:%M:%S.%f}Z {level:<5} storage node={node} {message}" for one in stamps]


def write(path: Path, *groups: list[str]) -> Path:
    """A log of some groups of lines, in the order of their time."""
    path.write_text("\n".join([*sorted(line for group in groups for line in group), ""]))
    return path


def test_errors_is_a_verdict_and_an_exit_code(tmp_path):
    """--errors prints the lines on stdout, the verdict on stderr, and exits as the thresholds say."""
    path = tmp_path / "mesh.log"
    calm = write(path, recent("INFO", 50, spread=7200), recent("ERROR", 40, spread=7000))
    ran = logs(calm, "--errors", "--since", "10m")
    assert ran.code == 0, ran.stderr
    assert "PASS logs.errors" in ran.stderr
    assert ran.stdout.count("\n") == 3
    burst = write(path, recent("INFO", 50, spread=7200), recent("ERROR", 600))
    ran = logs(burst, "--errors")
    assert (ran.code, ran.stdout.count("\n")) == (2, 600)
    assert "FAIL logs.errors: trainer-1 logs many errors" in ran.stderr
    quiet = logs(burst, "--errors", "-q")
    assert (quiet.code, quiet.stderr) == (2, "")
    assert quiet.stdout.startswith("✗ FAIL logs.errors")
    report = logs(burst, "--errors", "-q", "-o", "json")
    assert report.check("logs.errors")["verdict"] == "fail"


def test_thresholds_come_from_the_configuration(tmp_path):
    """The bounds and options of the check logs.errors are those of the verdict."""
    path = write(tmp_path / "mesh.log", recent("INFO", 50, spread=7200), recent("ERROR", 600))
    config = tmp_path / "meshdiag.toml"
    config.write_text('[checks."logs.errors"]\nwarn = 1000\nfail = 2000\nnew_kinds = 0\n')
    assert logs(path, "--errors", "-q", "--config", str(config)).code == 0
    config.write_text('[checks."logs.errors"]\nwarn = 1000\nfail = 2000\n')
    ran = logs(path, "--errors", "-q", "--config", str(config))
    assert ran.code == 1
    assert "kind of error is new" in ran.stdout
    assert logs(path, "--errors", "-q", "--fail-on", "fail", "--config", str(config)).code == 0
    config.write_text('[checks."logs.errors"]\nminutes = "ten"\n')
    wrong = logs(path, "--errors", "--config", str(config))
    assert wrong.code == 64
    assert "minutes" in wrong.stderr


def test_a_new_kind_of_error_is_a_warning(tmp_path):
    """What the hour before did not have is named; a number that differs makes no new kind."""
    old = [line.replace("boom", f"block {n} is lost") for n, line in enumerate(recent("ERROR", 8, spread=7200))]
    fresh = [line.replace("boom", "disk quota exceeded") for line in recent("ERROR", 1, spread=60)]
    ran = logs(write(tmp_path / "a.log", old, recent("INFO", 60, spread=7200)), "--errors", "-q")
    assert ran.code == 0, ran.stdout
    ran = logs(write(tmp_path / "b.log", old, fresh, recent("INFO", 60, spread=7200)), "--errors", "-q")
    assert ran.code == 1
    assert "disk quota exceeded" in ran.stdout
    assert "is lost" not in ran.stdout


def test_a_verdict_on_a_terminal_ends_its_lines_between_words(tmp_path):
    """A long verdict is folded to the terminal's width, marked up as before; through a pipe it stays one line."""
    said = "the supercalifragilistic dependency of the bootstrap node refuses every connection that is tried by it"
    path = write(tmp_path / "a.log", recent("ERROR", 1, said, spread=60), recent("INFO", 60, spread=7200))
    shown = on_terminal("logs", str(path), "--errors", "-q", size=(40, 60))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip("\r") for line in shown.output.split("\n") if line.strip()]
    assert shown.code == 1
    assert len(lines) > 2
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("! WARN logs.errors: ")
    assert all(line.startswith("  ") for line in lines[1:])
    piped = logs(path, "--errors", "-q").stdout
    assert set(" ".join(lines).split()) == set(piped.split())
    assert len(piped.splitlines()) == 2


def test_an_old_file_is_judged_by_its_own_end(text):
    """A file that the user names is asked about itself: its last minutes, not those of the clock on the wall."""
    ran = logs(text, "--errors", "-q")
    assert ran.code == 0
    assert "60 lines read" in ran.stdout
    silent = logs("--errors", "-q", environment={"MESHDIAG_LOGS": str(text)})
    assert silent.code == 3
    assert "is anything still writing it?" in silent.stdout


def test_explain_prints_commands_that_show_it_again(text, ndjson):
    """What is printed can be pasted, and prints the same lines."""
    ran = logs(text, "-l", "error", "--explain")
    (command,) = [line.removeprefix("  $ ") for line in ran.stderr.splitlines()]
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert [line.split(":", 1)[1] for line in done.stdout.splitlines()] == ran.stdout.splitlines()
    assert "grep knows no times" in logs(text, "--since", "2026-03-09T03:00:30Z", "--explain").stderr
    ran = logs(ndjson, "--where", "consensus.round > 5 and consensus.ok = true", "-l", "error+", "--explain")
    (command,) = [line.removeprefix("  $ ") for line in ran.stderr.splitlines()]
    assert command.startswith("jq -cR ")
    if shutil.which("jq"):
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == ran.stdout


def test_a_format_of_the_users_own_is_read(tmp_path):
    """A regular expression in the configuration tells time, level and fields apart."""
    path = tmp_path / "gw.log"
    path.write_text("03/09/2026 03:00:01 <<bad>> gw-1 | lost\n03/09/2026 03:00:02 <<ok>> gw-2 | found\n")
    config = tmp_path / "meshdiag.toml"
    regex = r"^(?P<time>\d+/\d+/\d+ \d+:\d+:\d+) <<(?P<state>\w+)>> (?P<node>\S+) \| (?P<message>.*)$"
    config.write_text(f"[logs.formats.gateway]\nregex = '{regex}'\n")
    ran = logs(path, "--node", "gw-1", "-o", "json", "--config", str(config))
    told = json.loads(ran.stdout)
    assert (told["message"], told["fields"]) == ("lost", {"state": "bad"})
    config.write_text("[logs.formats.gateway]\nregex = '(?P<time>'\n")
    wrong = logs(path, "--config", str(config))
    assert wrong.code == 64
    assert "meshdiag.toml:2: logs.formats.gateway.regex is no regular expression" in wrong.stderr


def test_count_is_a_number(text):
    """--count says how many there are, in every format."""
    assert logs(text, "-l", "warn+", "--count").stdout == "12\n"
    assert json.loads(logs(text, "-l", "warn+", "--count", "-o", "json").stdout) == {"count": 12}


def test_a_reader_that_leaves_is_no_error(tmp_path):
    """| head -1 gets its line at once, and stderr stays empty."""
    path = tmp_path / "big.log"
    path.write_text("".join(f"{text_line(n)}\n" for n in range(60_000)))
    for flags in ("", "-o json", "-o table", "-H"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{sys.executable} -m meshdiag logs {path} {flags} | head -1"],
            env=clean_environment(), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert (done.stdout.count("\n"), done.stderr) == (1, ""), flags


def test_ctrl_c_prints_what_there_is(tmp_path):
    """Interrupted, it exits 130, with the lines that it had."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", "logs", str(pipe)],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pipe.open("w") as writer:
        writer.write("".join(f"{text_line(n)}\n" for n in range(2000)))
        writer.flush()
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == signal.SIGINT + 128, err
    assert "Traceback" not in err
    assert out == "" or out.startswith(text_line(0))


def test_what_was_left_out_for_good_reason_or_summed_up_is_not_unknown(text):
    """A compressed copy of a log beside it is not missed, and a summary that was printed is an answer: exit code 0."""
    with gzip.open(f"{text}.gz", "wb") as copy:
        copy.write(text.read_bytes())
    for asked in (("--grep", "nothing like it"), ("--tail", "0"), ("--top",), ("--stats",), ("--level", "fatal")):
        ran = logs(text, *asked)
        assert ran.code == 0, (asked, ran.stderr)
        assert "holds the same" in ran.stderr
    gone = text.with_name("gone.log")
    assert [logs(text, gone, asked).code for asked in ("--top", "--stats", "--count")] == [0, 0, 0]
    assert logs(text, gone, "--grep", "nothing like it").code == 3


def test_a_summary_that_is_interrupted_says_that_there_is_none(tmp_path):
    """Interrupted before the end, ``--count`` prints no number that would pass for one of the whole."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", "logs", str(pipe), "--count"],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pipe.open("w") as writer:
        writer.write("".join(f"{text_line(n)}\n" for n in range(2000)))
        writer.flush()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err


def test_follow_goes_on_until_ctrl_c(text):
    """--follow prints the last lines asked for, then each new one at once."""
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", "logs", str(text), "-f", "--tail", "1", "-l", "error"],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == lines_of(text, 50)
        with text.open("a") as writer:
            writer.write(f"{text_line(61)}\n{text_line(62, 'ERROR')}\n")
        assert process.stdout.readline() == f"{text_line(62, 'ERROR')}\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "")


def test_a_followed_file_that_is_not_there_is_said_at_once(tmp_path):
    """A name that leads nowhere is told before anything is waited for: it may be a slip. What comes there is shown."""
    path = tmp_path / "late.log"
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdiag", "logs", str(path), "-f", "-o", "json"],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert (
            process.stderr.readline()
            == f"meshdiag: {path}: no such file or directory; it is followed once it is there\n"
        )
        path.write_text(f"{text_line(1)}\n")
        assert json.loads(process.stdout.readline())["node"] == "trainer-1"
        process.stdout.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stderr.close()


def test_utc_is_the_zone_of_times_that_name_none(tmp_path):
    """A log written in UTC without saying so, read on a machine elsewhere: --utc reads flags and lines alike."""
    path = tmp_path / "bare.log"
    path.write_text("2026-03-09 03:00:00,000 ERROR one\n2026-03-09 04:00:00,000 ERROR two\n")
    there = {"TZ": "Asia/Tokyo"}
    told = json.loads(logs(path, "--utc", "--since", "2026-03-09 03:30", "-o", "json", environment=there).stdout)
    assert (told["ts"], told["message"]) == ("2026-03-09T04:00:00Z", "two")
    here = json.loads(logs(path, "--tail", "1", "-o", "json", environment=there).stdout)
    assert here["ts"] == "2026-03-08T19:00:00Z"


def test_a_verdict_is_due_though_nobody_reads_the_lines(tmp_path):
    """--errors | head -1 ends in the verdict and its exit code, not in the one of a broken pipe."""
    path = tmp_path / "big.log"
    path.write_text("".join(f"{text_line(n // 20, 'ERROR')}\n" for n in range(20_000)))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{{ {sys.executable} -m meshdiag logs {path} $0; echo $? >&2; }} | head -1", "--errors"],
        env=clean_environment(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout == f"{text_line(0, 'ERROR')}\n"
    assert "FAIL logs.errors" in done.stderr
    assert done.stderr.splitlines()[-1] == "2"


def test_neighbours_are_told_apart_as_grep_does(text):
    """With -H matches bear colons and their neighbours dashes, groups are apart; without it the lines are untouched."""
    flags = ("-F", "-e", "block=20", "-e", "block=2", "-C", "1")
    plain = logs(text, "-e", "block=[24]0", "-C", "1")
    assert plain.stdout == lines_of(text, 19, 20, 21, 39, 40, 41)
    named = logs(text, "-e", "block=[24]0", "-C", "1", "-H").stdout.splitlines()
    signs = [line if line == "--" else line.removeprefix(str(text)).partition("2026")[0] for line in named]
    assert signs == ["-20-", ":21:", "-22-", "--", "-40-", ":41:", "-42-"]
    assert "--" not in logs(text, *flags, "-H").stdout.splitlines()
    shown = on_terminal("logs", str(text), "-e", "block=[24]0", "-C", "1", "--no-pager").output
    assert len([line for line in shown.splitlines() if line.strip() == "--" or "\x1b[2m--\x1b[0m" in line]) == 1
    assert "\x1b[1;7mblock=20\x1b[0m" in shown
    raw = on_terminal("logs", str(text), "-e", "block=[24]0", "-o", "raw", "--no-pager").output
    assert "\x1b[7mblock=20\x1b[0m" in raw


def test_a_terminal_gets_colours_and_no_harm(tmp_path):
    """On a terminal lines are for people, and nothing in them reaches the terminal as a command."""
    path = tmp_path / "hostile.log"
    evil = "\x1b]0;owned\x07\x1b[2J\u202e[bold]x[/bold]"
    path.write_text(f"{text_line(1, 'ERROR', message=evil)}\n{text_line(2)}\n")
    for flags in ((), ("-o", "raw"), ("-o", "json")):
        shown = on_terminal("logs", str(path), "--utc", *flags)
        for bad in ("\x1b]", "\x07", "\x1b[2J", "\u202e"):
            assert bad not in shown.output, (flags, bad)
        assert "[bold]x[/bold]" in shown.output
    shown = on_terminal("logs", str(path), "--utc")
    assert "-- 2026-03-09 UTC --" in shown.output
    assert "\x1b[31mERROR" in shown.output
    plain = on_terminal("logs", str(path), "--utc", environment={"NO_COLOR": "1"})
    assert "\x1b[" not in plain.output
    assert "03:00:01.000 ERROR network trainer-1" in plain.output


def test_long_output_on_a_terminal_is_paged(text):
    """What is longer than the screen goes to $PAGER, what fits does not, --no-pager never."""
    pager = {"PAGER": "sed s/^/PAGED:/"}
    assert "PAGED:" in on_terminal("logs", str(text), environment=pager).output
    assert "PAGED:" not in on_terminal("logs", str(text), "--head", "5", environment=pager).output
    assert "PAGED:" not in on_terminal("logs", str(text), "--no-pager", environment=pager).output
    gone = on_terminal("logs", str(text), environment={"PAGER": "/no/such/pager"})
    assert "trainer-2" in gone.output
    left = on_terminal("logs", str(text), environment={"PAGER": "head -1"})
    assert left.code == 0


def test_nothing_heavy_is_imported(text):
    """A small file needs no HTTP client, no event loop and no tables."""
    heavy = ("httpx", "rich", "cryptography", "msgspec", "promql_parser", "plotext", "asyncio", "hyperscan")
    for arguments in (["logs", str(text), "-l", "error"], ["logs", str(text), "--errors"], ["logs", "--help"]):
        code = (
            "import sys\nfrom meshdiag.__main__ import run\n"
            f"code = run({arguments!r})\nprint([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == "[]", arguments


def test_top_counts_recurring_messages(text):
    """--top masks what varies: three patterns of sixty lines, for people and for programs."""
    told = [json.loads(line) for line in logs(text, "--top", "-o", "json").stdout.splitlines()]
    assert [(one["count"], one["level"]) for one in told] == [(48, "info"), (6, "warn"), (6, "error")]
    assert told[2]["first_seen"] == "2026-03-09T03:00:00Z"
    shown = logs(text, "--top", "-l", "error", "--utc").stdout
    assert "6  error" in shown
    assert "03:00:00 to 03:00:50" in shown


def test_new_since_tells_what_was_not_there_before(tmp_path):
    """Only the pattern that the time before had not is told; without such a time nothing is called new."""
    old = [line.replace("boom", f"block {n} is lost") for n, line in enumerate(recent("ERROR", 9, spread=7200))]
    path = write(tmp_path / "mesh.log", old, recent("ERROR", 3, "disk quota exceeded", spread=600))
    (told,) = [json.loads(line) for line in logs(path, "--new-since", "30m", "-o", "json").stdout.splitlines()]
    assert (told["count"], told["before"]) == (3, 0)
    assert "disk quota exceeded" in told["pattern"]
    young = logs(path, "--new-since", "3h")
    assert (young.code, young.stdout) == (0, "")
    assert "nothing can be called new" in young.stderr
    assert "nothing is new" in logs(path, "--new-since", "30m", "-v", "-e", "quota", "--until", "1m").stderr
    silent = logs(path, "--new-since", "2m", "--until", "95m").stderr
    assert "there is no such record of late; the time before has 2" in silent


def test_stats_is_a_rate_over_time(text):
    """--stats draws counts over time by level, component or node, and gives them as data."""
    drawn = logs(text, "--stats", "--utc").stdout
    assert "records by level" in drawn
    assert drawn.count("█") > 1
    rows = logs(text, "--stats", "--by", "node", "-o", "csv").stdout.splitlines()
    assert rows[0] == "ts,width_s,node,count"
    assert sum(int(row.rsplit(",", 1)[1]) for row in rows[1:]) == 60


def test_an_empty_answer_is_said_on_a_terminal(text):
    """On a terminal an empty answer says what was looked through; through a pipe it stays empty."""
    shown = on_terminal("logs", str(text), "-e", "nothing like it")
    assert shown.code == 0
    assert "nothing like that in" in shown.output
    assert logs(text, "-e", "nothing like it").stderr == ""


def test_the_contexts_logs_repeat_one_another_and_are_told_once(tmp_path):
    """The mesh writes JSON and text: without a path each record comes once; files that are named are told whole."""
    lines = [text_line(n, "ERROR", "consensus", f"lost {n}") for n in range(5)]
    told = [json_line(n, "ERROR", message=f"lost {n}") for n in range(5)]
    (tmp_path / "mesh.log").write_text("\n".join([*lines, text_line(9, "ERROR", "consensus", "only here"), ""]))
    (tmp_path / "mesh.json").write_text("\n".join([*told, ""]))
    both = f"{tmp_path}/mesh.log", f"{tmp_path}/mesh.json"
    environment = {"MESHDIAG_LOGS": ",".join(both)}
    ran = logs("-l", "error", environment=environment)
    assert ran.stdout.splitlines() == [*told, text_line(9, "ERROR", "consensus", "only here")]
    assert "5 records that another of the files holds as well are left out" in ran.stderr
    assert logs("--count", environment=environment).stdout == "6\n"
    assert len(logs("--tail", "3", environment=environment).stdout.splitlines()) == 3
    assert logs("--head", "1", environment=environment).stdout == told[0] + "\n"
    assert json.loads(logs("--top", "-o", "json", environment=environment).stdout.splitlines()[0])["count"] == 5
    assert logs(*both, "--count").stdout == "11\n"


@pytest.mark.parametrize("flags", ["", "-o json", "-o table", "--top", "--count", "--errors"])
def test_a_full_disk_is_said(text, flags):
    """Half an answer must not pass for one: a sentence, and the exit code for what could not be told."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m meshdiag logs {text} {flags} > /dev/full"],
        env=clean_environment(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "the answer could not be written: no space left on device" in done.stderr
    assert "Traceback" not in done.stderr
