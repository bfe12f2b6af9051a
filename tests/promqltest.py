"""Runs files in the format of Prometheus's own evaluation tests against the evaluator.

The format: ``load STEP`` with series written as ``1+2x3``, ``clear``, and ``eval instant at T QUERY`` or
``eval range from A to B step S QUERY`` with what must come out, ``expect …`` lines among it. Run as a program it
prints one line a file: ``python -m tests.promqltest FILE_OR_FOLDER …``.
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL, Matrix, Vector
from meshdiag.promql.evaluator import instant, over_range
from meshdiag.promql.refusals import NotEvaluated
from meshdiag.promql.selectors import selectors
from meshdiag.promql.store import STALE_NAN, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLERANCE = 1e-6
"""Relative difference that the format's own runner allows."""

_EVAL = re.compile(
    r"eval(?P<kind>_fail|_warn|_info|_ordered)? (?:instant at (?P<at>\S+)"
    r"|range from (?P<start>\S+) to (?P<end>\S+) step (?P<step>\S+)) +(?P<query>.*)",
    re.DOTALL,
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_SERIES = re.compile(
    r'\s*(?P<name>[a-zA-Z_:][\w:.]*)?\s*(?P<labels>\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?\s*(?P<rest>.*)', re.DOTALL
)
_LABEL = re.compile(r'\s*(?:([\w.]+|"(?:\\.|[^"\\])*")\s*=\s*)?("(?:\\.|[^"\\])*")\s*(?:,|$)')
_EXPANDING = re.compile(r"(?P<first>[^x]+?)(?:(?P<sign>[+-])(?P<by>[^x+-]+(?:e[+-]?\d+)?))?x(?P<times>\d+)")
Key = frozenset[tuple[str, str]]


@dataclass
class Case:
    """One evaluation of a file."""

    file: str
    line: int
    query: str
    at: int | None
    span: tuple[int, int, int] | None
    fails: bool = False
    message: str = ""
    ordered: bool = False
    text: str | None = None
    window: tuple[int, int, int] | None = None
    expected: list[tuple[dict[str, str], list[float | None]]] = field(default_factory=list)
    scalar: float | None = None
    native: bool = False


@dataclass
class Verdict:
    """``outcome`` is passed, failed or refused; ``detail`` says why."""

    case: Case
    outcome: str
    detail: str = ""


class Runner:
    """Keeps the samples that a file has loaded."""

    def __init__(self) -> None:
        self.store = Store()
        self.native: list[dict[str, str]] = []

    def run(self, path: Path) -> Iterator[Verdict]:
        """Every evaluation of a file."""
        for block, line in _blocks(path.read_text(encoding="utf-8")):
            head = block[0]
            if head.startswith("clear"):
                self.store, self.native = Store(), []
            elif head.startswith("load"):
                self._load(head, block[1:])
            elif head.startswith("eval"):
                case = read_case(path.name, line, block)
                yield self.judge(case)

    def _load(self, head: str, lines: list[str]) -> None:
        step = milliseconds(head.split()[1])
        customary = head.startswith("load_with_nhcb")  # each classic histogram becomes a native one as well
        for line in lines:
            if "{{" in line:
                self.native.append(read_series(line.partition("{{")[0])[0])
                continue
            labels, rest = read_series(line)
            if customary and labels.get(NAME_LABEL, "").endswith("_bucket"):
                native = {name: text for name, text in labels.items() if name != "le"}
                self.native.append(native | {NAME_LABEL: labels[NAME_LABEL].removesuffix("_bucket")})
            for index, value in enumerate(read_values(rest)):
                if value is not None:
                    self.store.add(labels, index * step, value)

    def judge(self, case: Case) -> Verdict:
        """Evaluate a case and compare."""
        try:
            chosen = selectors(case.query)
        except QueryError as error:
            return _of_error(case, error)
        if case.native or any(
            all(m.matches(labels) for m in s.matchers) and s.name in (None, labels.get(NAME_LABEL))
            for s in chosen
            for labels in self.native
        ):
            return Verdict(case, "refused", "native histograms")
        try:
            answer: Vector | Matrix
            if case.span is not None:
                answer = over_range(self.store, case.query, *case.span)
            else:
                assert case.at is not None
                answer = instant(self.store, case.query, case.at)
        except QueryError as error:
            return _of_error(case, error)
        if case.fails:
            return Verdict(case, "failed", f"should fail, gave {answer}")
        problem = _differs(case, answer)
        return Verdict(case, "failed", problem) if problem else Verdict(case, "passed")


def _of_error(case: Case, error: QueryError) -> Verdict:
    if isinstance(error, NotEvaluated):
        return Verdict(case, "refused", error.construct)
    if not case.fails:
        return Verdict(case, "failed", error.message)
    if case.message and case.message not in error.message:
        return Verdict(case, "failed", f"should say {case.message!r}, says {error.message!r}")
    return Verdict(case, "passed")


def _blocks(text: str) -> Iterator[tuple[list[str], int]]:
    """Commands with the lines that belong to them, and the number of the first."""
    block: list[str] = []
    began = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        if re.match(r"(clear|load|eval)", raw):
            if block:
                yield block, began
            block, began = [line], number
        elif line and block:
            block.append(line)
        elif not line and block:
            yield block, began
            block = []
    if block:
        yield block, began


def read_case(file: str, line: int, block: list[str]) -> Case:
    """An evaluation and what is expected of it."""
    found = _EVAL.fullmatch(block[0])
    assert found, block[0]
    span = None
    if found["start"]:
        span = (milliseconds(found["start"]), milliseconds(found["end"]), milliseconds(found["step"]))
    case = Case(file, line, found["query"], None if span else milliseconds(found["at"]), span)
    case.fails = found["kind"] == "_fail"
    case.ordered = found["kind"] == "_ordered"
    for expected in block[1:]:
        _expect(case, expected)
    return case


def _expect(case: Case, line: str) -> None:
    if line.startswith(("expect ", "expected_fail")):
        words = line.split(None, 2)
        match words[1]:
            case "fail":
                case.fails = True
                if len(words) > 2 and words[2].startswith("msg:"):
                    case.message = words[2].removeprefix("msg:").strip()
            case "ordered":
                case.ordered = True
            case "string":
                case.text = words[2][1:-1]
            case "range":
                parts = line.split()
                case.window = (milliseconds(parts[4]), milliseconds(parts[6]), milliseconds(parts[8]))
        return
    if "{{" in line:
        case.native = True
        return
    if re.fullmatch(r"[-+]?(?:[0-9.]+(?:e[-+]?\d+)?|0x[0-9a-f]+|inf|nan)", line, re.IGNORECASE):
        case.scalar = number(line)
        return
    labels, rest = read_series(line)
    case.expected.append((labels, list(read_values(rest))))


def milliseconds(text: str) -> int:
    """A time of the format: ``5m``, ``10s53ms`` or plain seconds."""
    negative = text.startswith("-")
    text = text.lstrip("-")
    try:
        total = float(text) * 1000
    except ValueError:
        total = sum(float(amount) * _UNIT_MS[unit] for amount, unit in _DURATION.findall(text))
    return -round(total) if negative else round(total)


def read_series(line: str) -> tuple[dict[str, str], str]:
    """Labels and the rest of a line."""
    found = _SERIES.fullmatch(line)
    assert found, line
    labels = {NAME_LABEL: found["name"]} if found["name"] else {}
    for name, value in _LABEL.findall((found["labels"] or "{}")[1:-1]):
        text = value[1:-1].encode().decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace")
        labels[name.strip('"') or NAME_LABEL] = text
    return labels, found["rest"]


def number(text: str) -> float:
    """A number of the format."""
    return float(int(text, 16)) if text.lower().startswith("0x") else float(text)


def read_values(text: str) -> Iterator[float | None]:
    """The values of a series; None where there is no sample."""
    for word in text.split():
        if word == "_":
            yield None
        elif found := re.fullmatch(r"_x(\d+)", word):
            yield from [None] * int(found[1])
        elif word == "stale":
            yield STALE_NAN
        elif found := _EXPANDING.fullmatch(word):
            first = number(found["first"])
            by = 0.0 if found["by"] is None else number(found["by"]) * (-1 if found["sign"] == "-" else 1)
            for index in range(int(found["times"]) + 1):
                yield first + by * index
        else:
            yield number(word)


def _differs(case: Case, answer: Vector | Matrix) -> str:
    """What is wrong with an answer; "" when nothing is."""
    if case.text is not None:
        return "" if isinstance(answer, Vector) and answer.text == case.text else f"gave {answer}"
    if isinstance(answer, Vector):
        if case.scalar is not None:
            if not answer.scalar or not close(answer.samples[0].value, case.scalar):
                return f"expected scalar {case.scalar}, gave {answer}"
            return ""
        got = {_key(sample.labels): [sample.value] for sample in answer.samples}
        order = [_key(sample.labels) for sample in answer.samples]
        wanted = {_key(labels): values for labels, values in case.expected}
        if case.ordered and order != list(wanted):
            return f"wrong order: {order}"
        return _compare(wanted, got)
    span = case.span or case.window
    assert span is not None
    wanted = {}
    if case.scalar is not None:
        case.expected.append(({}, [case.scalar]))
    for labels, values in case.expected:
        if any(value is not None for value in values):
            wanted[_key(labels)] = values
    width = max((len(values) for values in wanted.values()), default=0)
    got = {}
    for series in answer.series:
        row: list[float | None] = [None] * max(width, (span[1] - span[0]) // span[2] + 1)
        for moment, value in zip(series.times, series.values, strict=True):
            row[(round(moment * 1000) - span[0]) // span[2]] = value
        while len(row) > len(wanted.get(_key(series.labels), ())) and row[-1] is None:
            row.pop()
        got[_key(series.labels)] = row
    return _compare(wanted, got)


def _key(labels: object) -> Key:
    return frozenset(pair for pair in dict(labels).items() if pair[1])  # type: ignore[call-overload]


def _compare(wanted: dict[Key, list[float | None]], got: dict[Key, list[float | None]]) -> str:
    if wanted.keys() != got.keys():
        missing = [dict(key) for key in wanted.keys() - got.keys()]
        extra = [dict(key) for key in got.keys() - wanted.keys()]
        return f"missing {missing}, unexpected {extra}"
    for key, values in wanted.items():
        if len(values) != len(got[key]) or not all(close(a, b) for a, b in zip(values, got[key], strict=True)):
            return f"{dict(key)}: expected {values}, got {got[key]}"
    return ""


def close(a: float | None, b: float | None, tolerance: float = TOLERANCE) -> bool:
    """Whether two values are the same to the tolerance; NaN equals NaN."""
    if a is None or b is None:
        return a is b
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-300)


def files(paths: list[Path]) -> list[Path]:
    """The test files under some paths."""
    found = [file for path in paths for file in (sorted(path.glob("**/*.test")) if path.is_dir() else [path])]
    return [file for file in found if file.suffix == ".test"]


def line_of(file: Path, verdicts: list[Verdict]) -> str:
    """One line about a file: how many passed, failed, were refused, and over which constructs."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    reasons = Counter(verdict.detail for verdict in verdicts if verdict.outcome == "refused")
    why = "; ".join(f"{reason} ×{count}" for reason, count in reasons.most_common())
    return (
        f"{file.name}: {counts['passed']} passed, {counts['failed']} failed, {counts['refused']} refused"
        f"{f' ({why})' if why else ''}"
    )


if __name__ == "__main__":
    for one in files([Path(argument) for argument in sys.argv[1:]]):
        results = list(Runner().run(one))
        print(line_of(one, results))
        for result in results:
            if result.outcome == "failed":
                print(f"  line {result.case.line}: {result.case.query}: {result.detail[:300]}")
