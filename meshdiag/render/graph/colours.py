"""How verdicts and roles look in a drawing: dark enough on white, and never told by colour alone."""

from __future__ import annotations

from meshdiag.model import Verdict

FILL = {
    Verdict.PASS: "#c8e6c9",
    Verdict.WARN: "#ffe082",
    Verdict.FAIL: "#ef9a9a",
    Verdict.UNKNOWN: "#e1bee7",
    Verdict.SKIP: "#e0e0e0",
}
EDGE = {
    Verdict.PASS: "#78909c",
    Verdict.WARN: "#c62828",
    Verdict.FAIL: "#c62828",
    Verdict.UNKNOWN: "#8e24aa",
    Verdict.SKIP: "#bdbdbd",
}
"""A slow link is red and thick, a broken one red and dashed."""
PEN = {Verdict.PASS: 1.2, Verdict.WARN: 4.0, Verdict.FAIL: 2.0, Verdict.UNKNOWN: 1.5, Verdict.SKIP: 1.0}
SIGN = {Verdict.PASS: "", Verdict.WARN: "!", Verdict.FAIL: "✗", Verdict.UNKNOWN: "?", Verdict.SKIP: ""}
SHAPES = {"bootstrap": "box", "aggregator": "diamond", "": "ellipse"}
"""By role; a trainer, and what is of no known role, is round."""
