"""A report as JUnit XML, as CI servers read it: a test case for each check.

``classname.name`` is the check's id. FAIL is a failure, UNKNOWN an error (the test could not be made), SKIP is
skipped. JUnit knows no warning: WARN is a case that passed, and what it has to say stands in its
``system-out``. The exit code still tells a warning from a pass.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from meshdiag.model import Verdict
from meshdiag.render.ranking import BAD, bound_text, name_of, ranked, value_text
from meshdiag.render.safe import one_line, pasteable
from meshdiag.units import rfc3339

if TYPE_CHECKING:
    from meshdiag.model import Finding, Report, Result

TAGS = {Verdict.FAIL: "failure", Verdict.UNKNOWN: "error", Verdict.SKIP: "skipped"}


def to_junit(report: Report) -> str:
    """The report as an XML document. Characters that XML or a terminal cannot bear are written out."""
    counts = report.counts
    totals = {
        "tests": str(len(report.results)),
        "failures": str(counts[Verdict.FAIL]),
        "errors": str(counts[Verdict.UNKNOWN]),
        "skipped": str(counts[Verdict.SKIP]),
        "time": _seconds(report.duration_s),
    }
    root = ET.Element("testsuites", {"name": "meshdiag", **totals})
    started = rfc3339(report.started).split(".")[0].rstrip("Z")
    suite = ET.SubElement(
        root, "testsuite", {"name": one_line(f"meshdiag {report.command}"), **totals, "timestamp": started}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (("context", report.context), ("verdict", str(report.verdict))):
        ET.SubElement(properties, "property", {"name": name, "value": one_line(value)})
    for result in report.results:
        suite.append(_case(result))
    _say(suite, "system-out", [one_line(f"{one.statement} Next: {one.next}") for one in report.causes])
    _say(suite, "system-err", [one_line(note) for note in report.notes])
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(result: Result) -> ET.Element:
    subject, _, name = result.id.rpartition(".")
    case = ET.Element(
        "testcase",
        {
            "classname": one_line(subject or result.id),
            "name": one_line(name),
            "time": _seconds(result.duration_s),
        },
    )
    if tag := TAGS.get(result.verdict):
        told = ET.SubElement(case, tag, {"message": one_line(result.summary)})
        if tag != "skipped":
            told.set("type", str(result.verdict))
            told.text = "\n".join(_story(result))
    elif result.verdict is Verdict.WARN:
        _say(case, "system-out", [f"WARN: {one_line(result.summary)}", *_story(result)])
    return case


def _story(result: Result) -> list[str]:
    """What a person needs who sees nothing but the CI server's page."""
    lines = [one_line(result.title)]
    lines += [_line(one) for one in ranked(result.findings) if one.verdict in BAD]
    if result.hint:
        lines.append(f"Next: {one_line(result.hint)}")
    if result.runbook:
        lines.append(f"Runbook: {one_line(result.runbook)}")
    lines += [one_line(pasteable(one.command), None) for one in result.evidence]
    return lines


def _line(finding: Finding) -> str:
    value, fine = value_text(finding), bound_text(finding)
    held = f": {value}" + (f" ({fine})" if fine else "") if value else ""
    return one_line(f"{finding.verdict} {name_of(finding)}{held} {finding.message}")


def _seconds(duration: float) -> str:
    return f"{duration if math.isfinite(duration) else 0:.3f}"


def _say(parent: ET.Element, tag: str, lines: list[str]) -> None:
    if lines:
        ET.SubElement(parent, tag).text = "\n".join(lines)
