"""One command line of a page, run by this same program in a process of its own: no shell, no input, an end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO

from meshdiag.durations import format_duration
from meshdiag.model import Evidence, ExitCode, Finding, Result, Verdict
from meshdiag.render.safe import few_lines, one_line
from meshdiag.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.commands._runbook_lines import Read

PROGRAM = (sys.executable, "-P", "-m", "meshdiag")
"""-P: a module that lies in the working directory is not imported."""
GRACE_S = 10.0
"""After its deadline a command has so long to print what it has."""
MOST_BYTES = 16 * 1024 * 1024
"""Of an answer; a longer one is not read."""
MOST_LINES, MOST_FINDINGS, MOST_EVIDENCE = 20, 20, 5
_VERDICTS = {
    ExitCode.PASS: Verdict.PASS,
    ExitCode.WARN: Verdict.WARN,
    ExitCode.FAIL: Verdict.FAIL,
}


def run_line(invocation: Invocation, flags: Flags, read: Read, words: Sequence[str], id_: str) -> Result:
    """Run a line that may be run, and read what it says. What it cannot say is UNKNOWN."""
    wants_json = "json" in read.formats and "format" not in read.given and read.name != "logs"
    argv = [*PROGRAM, *_root_flags(invocation), words[0]]
    argv += [*_flags(invocation, flags, read, as_json=wants_json), *words[1:]]
    limit_s = flags.deadline.total_seconds() + GRACE_S
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = _run(argv, out, err, limit_s)
        if code is None:
            return Result(id_, "", Verdict.UNKNOWN, f"stopped: no answer within {format_duration(limit_s)}")
        said, errors = _read(out), _read(err)
    if said is None:
        return Result(id_, "", Verdict.UNKNOWN, "its answer is too large to be read")
    if wants_json and (report := _report(said)) is not None:
        return _of_report(id_, report)
    return _of_text(id_, code, said, errors or "")


def _root_flags(invocation: Invocation) -> list[str]:
    context = ["--context", invocation.context] if invocation.context else []
    return [*context, *(["--config", str(invocation.config_file)] if invocation.config_file else [])]


def _flags(invocation: Invocation, flags: Flags, read: Read, *, as_json: bool) -> list[str]:
    """The reader's flags, as far as the command takes them and the page does not say otherwise."""
    deadline = format_duration(flags.deadline.total_seconds())
    wanted: dict[str, list[str]] = {"deadline": ["--deadline", deadline]}
    wanted["gap"] = ["--gap", format_duration(flags.gap.total_seconds())]
    wanted |= {f"{name}_url": [f"--{name}-url", url] for name, url in invocation.overrides.items()}
    if flags.timeout is not None:
        wanted["timeout"] = ["--timeout", format_duration(flags.timeout.total_seconds())]
    if flags.direct is not None:
        wanted["direct"] = ["--direct" if flags.direct else "--no-direct"]
    if flags.at is not None and read.name != "logs":
        wanted["at"] = ["--at", rfc3339(flags.at)]
    if as_json:
        wanted["format"] = ["-o", "json"]
    return [word for name, said in wanted.items() if name in read.takes - read.given for word in said]


def _run(argv: list[str], out: BinaryIO, err: BinaryIO, limit_s: float) -> int | None:
    """The exit code; None for a process that had to be stopped. It has a session of its own, so that it is stopped
    with whatever it started, also when the reader interrupts."""
    environ = {key: text for key, text in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        env={**environ, "NO_COLOR": "1"},
        start_new_session=True,
    )
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _read(file: BinaryIO) -> str | None:
    file.seek(0)
    raw = file.read(MOST_BYTES + 1)
    return None if len(raw) > MOST_BYTES else raw.decode("utf-8", "replace")


def _report(said: str) -> dict[str, Any] | None:
    try:
        report = json.loads(said)
    except ValueError:
        return None
    return report if isinstance(report, dict) and "checks" in report else None


def _of_report(id_: str, report: dict[str, Any]) -> Result:
    """A report as one result: its verdict, what is not fine, the evidence for that."""
    checks = [one for one in report["checks"] if one["verdict"] not in ("pass", "skip")]
    bad = sorted(
        (one for one in checks if not one["because"]) if any(not one["because"] for one in checks) else checks,
        key=lambda one: -Verdict(one["verdict"]).severity,
    )
    shown = bad or [one for one in report["checks"] if one["verdict"] == "pass"]
    return Result(
        id_,
        "",
        Verdict(report["verdict"]),
        _sum_up(report, bad),
        tuple(Finding(one["id"], Verdict(one["verdict"]), one["summary"]) for one in bad[:MOST_FINDINGS]),
        tuple(
            Evidence(told["source"], told["command"], told["excerpt"]) for one in shown for told in one["evidence"][:1]
        )[:MOST_EVIDENCE],
        hint=next((one["hint"] for one in bad if one["hint"]), ""),
        runbook=next((one["runbook"] for one in bad if one["runbook"]), ""),
    )


def _sum_up(report: dict[str, Any], bad: list[dict[str, Any]]) -> str:
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return f"{bad[0]['id']}: {bad[0]['summary']}{more}"
    fine = [one for one in report["checks"] if one["verdict"] == "pass"]
    if len(fine) == 1:
        return str(fine[0]["summary"])
    if fine:
        return f"{len(fine)} checks pass"
    if report["checks"]:
        return str(report["checks"][0]["summary"])
    return f"{len(report['data'] or ())} rows"


def _of_text(id_: str, code: int, said: str, errors: str) -> Result:
    """An answer that is no report (log lines): its exit code, and its beginning."""
    verdict = _VERDICTS.get(ExitCode(code), Verdict.UNKNOWN) if code in set(ExitCode) else Verdict.UNKNOWN
    lines = [line for line in said.splitlines() if line.strip()]
    told = [line for line in errors.splitlines() if line.strip()]
    summary = f"{len(lines)} lines" if verdict is Verdict.PASS or not told else one_line(told[0])
    excerpt = "\n".join(few_lines(said, MOST_LINES))
    return Result(id_, "", verdict, summary, evidence=(Evidence("meshdiag", "", excerpt),) if excerpt else ())
