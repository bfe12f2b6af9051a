"""A check's answer in a few lines, for a command whose main answer is another: verdict, the worst, the next step."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

from meshdiag.model import Verdict
from meshdiag.render.ansi import DIM, paint, wanted
from meshdiag.render.safe import encodable, one_line
from meshdiag.units import human

if TYPE_CHECKING:
    from meshdiag.checks import Check, Outcome
    from meshdiag.model import Finding

STYLES = {
    Verdict.FAIL: "1;31",
    Verdict.WARN: "1;33",
    Verdict.UNKNOWN: "1;35",
    Verdict.PASS: "1;32",
    Verdict.SKIP: DIM,
}
SYMBOLS = {
    Verdict.FAIL: ("✗", "x"),
    Verdict.WARN: ("!", "!"),
    Verdict.UNKNOWN: ("?", "?"),
    Verdict.PASS: ("✓", "+"),
    Verdict.SKIP: ("-", "-"),
}
MOST = 8
"""Findings that are shown, the worst first."""
NARROWEST = 30


def verdict_text(verdict: Verdict, outcome: Outcome, check: Check, stream: TextIO) -> str:
    """The lines, each with its line break: ``✗ FAIL logs.errors: trainer-2 logs many errors (50/min)``. On a terminal
    they end between words."""
    encoding, colour = stream.encoding or "utf-8", wanted(stream)
    ascii_only = encodable("✗→", encoding) != "✗→"

    def safe(text: str) -> str:
        return encodable(one_line(text), encoding)

    width = max(shutil.get_terminal_size((80, 24)).columns, NARROWEST) if stream.isatty() else None

    def headed(of: Verdict, text: str, before: str = "") -> str:
        word = f"{SYMBOLS[of][ascii_only]} {of.upper()}"
        shown = _folded(f"{before}{word} {text}", len(before) + 2, width)
        return shown.replace(word, paint(word, STYLES[of]), 1) if colour else shown

    lines = [headed(verdict, f"{check.id}: {safe(outcome.summary)}")]
    bad = sorted(
        (one for one in outcome.findings if one.verdict not in (Verdict.PASS, Verdict.SKIP)),
        key=lambda one: (-one.verdict.severity, -(one.value or 0.0)),
    )
    if len(bad) > 1:
        lines += [headed(one.verdict, safe(_finding(one)), "  ") for one in bad[:MOST]]
        if len(bad) > MOST:
            lines.append(f"  and {len(bad) - MOST} more")
    if verdict not in (Verdict.PASS, Verdict.SKIP) and check.runbook:
        arrow = "->" if ascii_only else "→"
        hint = f"  {arrow} {safe(outcome.hint or check.hint)}; runbook {check.runbook}"
        lines.append(_folded(hint, 2 + len(arrow) + 1, width))
    return "".join(f"{line}\n" for line in lines)


def _folded(text: str, indent: int, width: int | None) -> str:
    """Text in lines of a width, those behind the first indented; as it is without a width."""
    if width is None:
        return text
    return "\n".join(
        textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False, drop_whitespace=True)
    )


def _finding(one: Finding) -> str:
    value = "" if one.value is None or one.unit == "count" else f" ({human(one.value, one.unit)})"
    subject = f"{one.subject} " if one.labels else ""
    return f"{subject}{one.message}{value}"
