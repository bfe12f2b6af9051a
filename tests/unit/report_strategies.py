"""Reports of any shape, for properties that every renderer has to keep."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from meshdiag.model import Cause, Column, Evidence, Finding, Range, Report, Result, Table, Threshold, Verdict

ODD = [
    "",
    "\x1b[31m",
    "\x1b]0;x\x07",
    "\u202e",
    "\u200b",
    "\r\n",
    "\x9b",
    "\x00",
    "\ud800",
    "[bold]",
    "|",
    "'",
    "é",
    "節点",
]
texts = st.text(max_size=30) | st.sampled_from(ODD) | st.text(alphabet=st.characters(), max_size=8)
verdicts = st.sampled_from(list(Verdict))
numbers = st.floats() | st.sampled_from([0.0, 10.0, 0.914])
units = st.sampled_from([None, "s", "ms", "bytes", "bytes/s", "1/s", "percent", "ratio", "days", "count", "odd"])
moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    """A range with its ends in order."""
    low, high = sorted((draw(st.floats(allow_nan=False)), draw(st.floats(allow_nan=False))))
    return Range(low, high, draw(st.booleans()))


thresholds = st.builds(Threshold, st.none() | ranges(), st.none() | ranges())
findings = st.builds(
    Finding,
    texts,
    verdicts,
    texts,
    st.none() | numbers,
    units,
    st.none() | thresholds,
    st.none() | moments,
    st.dictionaries(st.just("node") | texts, texts, max_size=2),
)
evidence = st.builds(Evidence, texts, texts, texts)
ids = st.from_regex(r"[a-z]{1,8}\.[a-z-]{1,12}", fullmatch=True)
results = st.builds(
    Result,
    ids,
    texts,
    verdicts,
    texts,
    st.lists(findings, max_size=8).map(tuple),
    st.lists(evidence, max_size=2).map(tuple),
    texts,
    texts,
    st.floats(0, 100),
    st.none() | ids,
)
causes = st.builds(Cause, texts, st.lists(texts, max_size=3).map(tuple), texts)

CELLS = {
    "text": texts,
    "number": numbers,
    "verdict": verdicts,
    "time": moments,
    "age": numbers,
    "trend": st.lists(numbers | st.none(), max_size=70).map(tuple),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of every kind of column, any cell of which may be missing."""
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=7))
    columns = tuple(Column(f"k{n}", draw(texts), kind, draw(units)) for n, kind in enumerate(kinds))
    row = st.fixed_dictionaries({one.key: st.none() | CELLS[one.kind] for one in columns})
    return Table(columns, tuple(draw(st.lists(row, max_size=4))), draw(texts))


reports = st.builds(
    Report,
    texts,
    texts,
    moments,
    st.floats(0, 100),
    st.lists(results, max_size=6).map(tuple),
    st.lists(causes, max_size=2).map(tuple),
    st.none() | tables(),
    st.lists(texts, max_size=2).map(tuple),
)
