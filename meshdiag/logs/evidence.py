"""The commands of other tools (grep, jq) that show again what was selected, to be pasted into a shell.

They say what those tools can say: grep knows no times and no fields, and jq sees one line at a time.
"""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshdiag.logs.record import NS, Level
from meshdiag.logs.where.tree import Both, Either, Not, Present

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.logs.selection import Pattern, Selection
    from meshdiag.logs.where.tree import Comparison, Node

JSON_ENDS = (".json", ".jsonl", ".ndjson")
_READERS = {".gz": "zcat", ".zst": "zstdcat", ".xz": "xzcat", ".bz2": "bzcat"}
_TEXT = {
    Level.TRACE: ("TRACE",),
    Level.DEBUG: ("DEBUG",),
    Level.INFO: ("INFO",),
    Level.WARN: ("WARN",),
    Level.ERROR: ("ERROR",),
    Level.FATAL: ("FATAL", "CRITICAL", "PANIC"),
}
_JSON = {
    Level.TRACE: "trace|10",
    Level.DEBUG: "debug|20",
    Level.INFO: "info|30",
    Level.WARN: "warn|warning|4[0-9]",
    Level.ERROR: "error|err|5[0-9]",
    Level.FATAL: "fatal|critical|panic|6[0-9]",
}
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def commands(paths: Iterable[str], selection: Selection) -> list[str]:
    """A command for each file."""
    return [command(path, selection) for path in dict.fromkeys(paths)]


def command(path: str, selection: Selection) -> str:
    """The command that prints the lines of one file again."""
    plain, reader = path, ""
    for end, program in _READERS.items():
        if path.endswith(end):
            plain, reader = path.removesuffix(end), f"{program} {shlex.quote(path)} | "
    file = "" if reader or path == "-" else f" {shlex.quote(path)}"
    shown = _with_jq(selection, file) if plain.endswith(JSON_ENDS) else _with_grep(selection, file)
    if selection.head is not None or selection.tail is not None:
        shown += f" | head -n {selection.head}" if selection.head is not None else f" | tail -n {selection.tail}"
    return f"{reader}{shown}"


def says_all(path: str, selection: Selection) -> bool:
    """Whether the command for a file can say all of what was asked: grep knows neither times nor fields."""
    return _is_json(path) or (selection.since_ns is None and selection.until_ns is None and selection.where is None)


def _is_json(path: str) -> bool:
    return any(path.endswith((end, *(f"{end}{packed}" for packed in _READERS))) for end in JSON_ENDS)


def _with_grep(selection: Selection, file: str) -> str:
    around = "".join(f" -{flag} {count}" for flag, count in (("B", selection.before), ("A", selection.after)) if count)
    steps = []
    if selection.levels is not None:
        words = "|".join(word for level in sorted(selection.levels) for word in _TEXT[level])
        steps.append("-nE" + around + " " + shlex.quote(rf"^\[?[^ ]+( [0-9:.,]+)?\]? +\[?({words})"))
    steps += [
        " ".join(["-iF", *(f"-e {shlex.quote(name)}" for name in names)])
        for names in (selection.components, selection.nodes)
        if names
    ]
    steps += [_grep_flags(pattern) + around for pattern in selection.patterns]
    if selection.field is not None:
        steps.append(f"-F {shlex.quote(selection.field.rpartition('.')[2])}")
    if not steps:
        return f"cat{file}"
    return " | ".join([f"grep {steps[0]}{file}", *(f"grep {step}" for step in steps[1:])])


def _grep_flags(pattern: Pattern) -> str:
    flags = "F" if pattern.fixed else "P"
    return f"-{'v' * pattern.invert}{'i' * pattern.ignore_case}{flags} -e {shlex.quote(pattern.text)}"


def _with_jq(selection: Selection, file: str) -> str:
    tests = []
    if selection.levels is not None:
        words = "|".join(_JSON[level] for level in sorted(selection.levels))
        tests.append(f'((.level // .severity | tostring) | test("^({words})$"; "i"))')
    for sign, moment in ((">=", selection.since_ns), ("<", selection.until_ns)):
        if moment is not None:
            text = datetime.fromtimestamp(moment / NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            tests.append(f'((.ts // .time // .timestamp | tostring) {sign} "{text}")')
    for key, names in (("component", selection.components), ("node", selection.nodes)):
        if names:
            tests.append(f"(.{key} as $it | {json.dumps([*names])} | index($it) != null)")
    if selection.field is not None:
        tests.append(f"({_jq_path(tuple(selection.field.split('.')))} != null)")
    if selection.where is not None and (condition := _jq_where(selection.where)):
        tests.append(condition)
    filters = f"fromjson? | objects | select({' and '.join(tests)})" if tests else "fromjson? | objects"
    shown = f"jq -cR {shlex.quote(filters)}{file}"
    return " | ".join([shown, *(f"grep {_grep_flags(pattern)}" for pattern in selection.patterns)])


def _jq_where(where: object) -> str | None:
    root: Node | None = getattr(where, "root", None)
    return None if root is None else _jq_node(root)


def _jq_node(node: Node) -> str | None:
    """A condition as jq has it, None where it has a part that jq has not (durations, levels, moments)."""
    if isinstance(node, Both | Either):
        left, right = _jq_node(node.left), _jq_node(node.right)
        word = "and" if isinstance(node, Both) else "or"
        return f"({left} {word} {right})" if left and right else None
    if isinstance(node, Not):
        part = _jq_node(node.part)
        return f"({part} | not)" if part else None
    path = _jq_path(node.path)
    return f"({path} != null)" if isinstance(node, Present) else _jq_comparison(node, path)


def _jq_comparison(node: Comparison, path: str) -> str | None:
    if node.path in (("level",), ("ts",)) or not isinstance(node.value, bool | float | str):
        return None
    value = json.dumps(int(node.value) if isinstance(node.value, float) and node.value.is_integer() else node.value)
    if node.op in ("=~", "!~"):
        found = f"({path} | tostring | test({value}))"
        return found if node.op == "=~" else f"({path} != null and ({found} | not))"
    if node.op == "contains":
        return f"({path} | tostring | contains({value}))"
    return f"({path} != null and {path} {'==' if node.op == '=' else node.op} {value})"


def _jq_path(path: tuple[str, ...]) -> str:
    text = "".join(f".{part}" if _PLAIN_KEY.fullmatch(part) else f".[{json.dumps(part)}]" for part in path)
    return f"{text}?"
