"""Renderers: functions of a report. Each format is a module, imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from meshdiag.model import Report

FORMATS = ("table", "json", "junit", "short", "csv", "openmetrics")


def render_report(
    report: Report,
    fmt: str,
    stream: TextIO,
    *,
    verbose: int = 0,
    quiet: bool = False,
    explain: bool = False,
    utc: bool = False,
) -> None:
    """Write the report to ``stream`` in one of ``FORMATS``. The flags shape the table alone: a format that
    programs read always says everything. Raises ``BrokenPipeError`` when the reader has gone."""
    if fmt == "table":
        from meshdiag.render.terminal import bounded, make_console, render

        render(
            report,
            make_console(stream),
            verbose=verbose,
            quiet=quiet,
            explain=explain,
            utc=utc,
            whole_tables=not bounded(stream),
        )
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(_text(report, fmt, encoding))


def prepare(fmt: str) -> None:
    """Import what ``render_report`` needs for a format: to be called while nothing else is to be done."""
    if fmt == "table":
        import meshdiag.render.terminal  # noqa: F401


def _text(report: Report, fmt: str, encoding: str) -> str:
    """The whole text in a format; what ``encoding`` cannot carry is written as the format writes it."""
    if fmt == "json":
        from meshdiag.render.as_json import to_json

        return to_json(report, ascii_only=not encoding.lower().startswith("utf"))
    if fmt == "junit":
        from meshdiag.render.junit import to_junit

        return _encodable(to_junit(report), encoding, "xmlcharrefreplace")
    if fmt == "csv":
        from meshdiag.render.as_csv import to_csv

        return _encodable(to_csv(report), encoding)
    if fmt == "short":
        from meshdiag.render.short import to_short

        return _encodable(to_short(report), encoding)
    if fmt == "openmetrics":
        from meshdiag.render.openmetrics import to_openmetrics

        return _encodable(to_openmetrics(report), encoding)
    raise ValueError(f"no renderer is called {fmt!r}; there are {', '.join(FORMATS)}")


def _encodable(text: str, encoding: str, errors: str = "backslashreplace") -> str:
    return text.encode(encoding, errors).decode(encoding)
