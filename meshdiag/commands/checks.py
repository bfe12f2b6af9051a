"""``meshdiag checks``: every check with its threshold in force."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from meshdiag.commands._completions import complete_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.checks import Check
    from meshdiag.commands._invocation import Invocation
    from meshdiag.config import Loaded
    from meshdiag.model import Column, Table, Threshold

SECTION = "Set it up"


@click.command("checks", short_help="List the checks and their thresholds.")
@click.argument("check", required=False, metavar="[ID|GLOB]", shell_complete=complete_check)
@click.option(
    "-o",
    "--output",
    "fmt",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the answer.",
)
@click.pass_obj
def command(invocation: Invocation, check: str | None, fmt: str) -> None:
    """List the checks, their default thresholds and those in force; with an ID, show that one in full.

    In the configuration a threshold is a number, or a range of what is fine as Nagios writes it: ~:10 at most 10,
    3: at least 3, 10:20 between; -o json has them in this form.

    \b
    Examples:
      meshdiag checks 'consensus.*'
      meshdiag checks consensus.round-duration
    """
    from datetime import UTC, datetime

    from meshdiag.checks import select
    from meshdiag.model import Report
    from meshdiag.render import render_report

    loaded = invocation.load()
    rows = [_row(one, loaded) for one in select(("*",), only=(check,) if check else ())]
    table = _in_full(rows[0]) if fmt == "table" and len(rows) == 1 and check else _listing(rows)
    report = Report("checks", loaded.context.name, datetime.now(UTC), data=table, notes=loaded.notes)
    render_report(report, fmt, sys.stdout)


def _row(check: Check, loaded: Loaded) -> dict[str, Any]:
    from meshdiag.config.words import key_text
    from meshdiag.context import CheckSettings

    settings = loaded.context.checks.get(check.id, CheckSettings())
    set_by = {
        loaded.origins[key]
        for key in (key_text(("checks", check.id, name)) for name in ("warn", "fail", *settings.options))
        if key in loaded.origins
    }
    return {
        "id": check.id,
        "title": check.title,
        "needs": " ".join(check.needs),
        "default": _text(check.threshold),
        "in_force": _text(settings.over(check.threshold)),
        "set_by": " ".join(sorted(set_by)),
        "options": dict(settings.options),
        "unit": check.unit,
        **_words(settings.over(check.threshold), check.unit),
        "history": check.history,
        "hint": check.hint,
        "runbook": check.runbook,
    }


def _listing(rows: list[dict[str, Any]]) -> Table:
    from meshdiag.model import Column, Table

    titles = {
        "id": "check",
        "title": "title",
        "warns": "warn",
        "fails": "fail",
        "default": "default",
        "runbook": "runbook",
    }
    # A column of defaults beside equal thresholds would only take room; it is there once something is set.
    if all(row["default"] == row["in_force"] for row in rows):
        del titles["default"]
    columns: tuple[Column, ...] = tuple(Column(key, title) for key, title in {**titles, "needs": "needs"}.items())
    return Table(columns, tuple(rows))


def _in_full(row: Mapping[str, Any]) -> Table:
    from meshdiag.model import Column, Table

    words = {
        "id": "check",
        "title": "fine when",
        "hint": "next step",
        "runbook": "runbook",
        "needs": "asks",
        "warns": "warns",
        "fails": "fails",
        "in_force": "as a range of what is fine",
        "default": "by default",
        "set_by": "set by",
        "options": "options",
    }
    shown = {**row, "options": ", ".join(f"{key} = {value}" for key, value in row["options"].items())}
    rows = tuple({"what": word, "text": shown[key]} for key, word in words.items() if shown[key])
    return Table((Column("what", row["id"]), Column("text", "")), rows)


def _words(threshold: Threshold | None, unit: str) -> dict[str, str]:
    """When the check warns and when it fails, for a person."""
    from meshdiag.units import alert_range

    grades = {"warns": threshold and threshold.warn, "fails": threshold and threshold.fail}
    return {grade: alert_range(fine, unit) if fine else "" for grade, fine in grades.items()}


def _text(threshold: Threshold | None) -> str:
    """The ranges of what is fine, as configuration takes them."""
    if threshold is None:
        return ""
    bounds = {"warn": threshold.warn, "fail": threshold.fail}
    return ", ".join(f"{grade} {bound}" for grade, bound in bounds.items() if bound is not None)
