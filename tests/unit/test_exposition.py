"""Reading metrics pages: what is valid is read as the reference parser reads it, what is broken is named."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from meshdiag.sources.exposition import MAX_LINE, MAX_PROBLEMS, TWICE, Reader, sample_names
from tests.promqltest import close

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "exposition"


def _cases() -> list[dict[str, object]]:
    path = FOLDER / "parse_cases.jsonl"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing")
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _reference(text: str, openmetrics: bool) -> list[tuple[str, dict[str, str], float]]:
    """What prometheus_client reads; without the types, for which it would add _total to the names of counters."""
    if not openmetrics:
        text = "".join(
            line for line in text.splitlines(keepends=True) if not line.lstrip().startswith(("# TYPE", "#\tTYPE"))
        )
    families = openmetrics_families(text) if openmetrics else text_families(text)
    return [(one.name, dict(one.labels), float(one.value)) for family in families for one in family.samples]


def _read(text: str, openmetrics: bool = False) -> list[tuple[str, dict[str, str], float]]:
    page = Reader().read(text.encode("utf-8"), openmetrics=openmetrics)
    assert page.problems == []
    return [
        (name, {key: one for key, one in labels.items() if key != "__name__"}, value)
        for name, labels, value, _ in page.samples
    ]


def _same(ours: list[tuple[str, dict[str, str], float]], theirs: list[tuple[str, dict[str, str], float]]) -> None:
    """Equal, labels with an empty value aside: they count as absent."""
    assert len(ours) == len(theirs)
    for (name, labels, value), (name_, labels_, value_) in zip(ours, theirs, strict=True):
        assert (name, labels) == (name_, {key: one for key, one in labels_.items() if one})
        assert close(value, value_, 1e-12)


VALID = [case for case in _cases() if case["valid"]]
BROKEN = [case for case in _cases() if not case["valid"]]


@pytest.mark.skipif(not VALID, reason="the samples are not at hand")
@pytest.mark.parametrize("case", VALID, ids=lambda case: f"{case['format']}-{case['test']}")
def test_valid_pages_are_read_as_the_reference_reads_them(case: dict[str, object]) -> None:
    """Names, labels and values of every sample agree with prometheus_client's parser."""
    text, openmetrics = str(case["input"]), case["format"] == "openmetrics"
    if "{count:" in text or "schema:" in text:
        pytest.skip("native histograms are not read")
    if case["test"] == "test_duplicate_timestamps":
        pytest.skip("the reference leaves out samples of which only the nanoseconds differ")
    _same(_read(text, openmetrics), _reference(text, openmetrics))


@pytest.mark.skipif(not BROKEN, reason="the samples are not at hand")
@pytest.mark.parametrize("case", BROKEN, ids=lambda case: str(case["test"]))
def test_broken_pages_never_raise(case: dict[str, object]) -> None:
    """Whatever is wrong, the page gives what can be read and names the lines that cannot."""
    page = Reader().read(
        str(case["input"]).encode("utf-8", "surrogatepass"), openmetrics=case["format"] == "openmetrics"
    )
    assert all(isinstance(value, float) for _, _, value, _ in page.samples)


def _pages() -> list[Path]:
    return sorted([*FOLDER.glob("**/*.prom"), *FOLDER.glob("**/e2e-output*.txt"), *FOLDER.glob("**/*.om.txt")])


@pytest.mark.skipif(not _pages(), reason="the samples are not at hand")
@pytest.mark.parametrize("path", _pages(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_pages_agree_with_the_reference(path: Path) -> None:
    """Real scrapes of real exporters are read sample by sample as prometheus_client reads them."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        theirs = _reference(text, openmetrics=False)
    except ValueError:
        pytest.skip("the reference refuses this page")
    if "# EOF" in text and "# {" in text:
        pytest.skip("exemplars are not text format")
    page = Reader().read(text.encode())
    seen: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for name, labels, value in theirs:
        seen.setdefault((name, frozenset((k, v) for k, v in labels.items() if v)), value)
    ours = {
        (name, frozenset((k, v) for k, v in labels.items() if k != "__name__")): value
        for name, labels, value, _ in reversed(page.samples)
    }
    assert ours.keys() == seen.keys()
    assert all(close(ours[key], seen[key], 1e-12) or path.name.startswith("dump") for key in seen)


COUNTED = {
    "": 27,
    "prometheus_tsdb_compaction_chunk_size_bytes": 15,
    "go_gc_duration_seconds": 7,
    "net_conntrack_dialer_conn_attempted_total": 4,
    "go_info": 1,
}
"""How many series the sample page has, in all and by the beginning of their names, by upstream's own test."""


@pytest.mark.skipif(not _pages(), reason="the samples are not at hand")
def test_a_page_is_read_to_the_last_series() -> None:
    """As many series of each family as its authors count, whether all are read or a family alone."""
    page = (FOLDER / "prometheus" / "metrics-test.prom").read_bytes()
    everything = Reader().read(page)
    assert everything.problems == []
    for family, count in COUNTED.items():
        assert sum(name.startswith(family) for name, *_rest in everything.samples) == count, family
        wanted = frozenset(name for name, *_rest in everything.samples if name.startswith(family))
        assert len(Reader(wanted).read(page).samples) == count, family


@pytest.mark.skipif(not _pages(), reason="the samples are not at hand")
@pytest.mark.parametrize("path", _pages(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_of_a_real_page_is_called_broken(path: Path) -> None:
    """Pages of real exporters have no problems, in the format that they are in; what stands twice aside."""
    page = path.read_bytes()
    openmetrics = page.rstrip().endswith(b"# EOF")
    problems = [one for one in Reader().read(page, openmetrics=openmetrics).problems if TWICE not in one]
    assert problems == []


@pytest.mark.skipif(not BROKEN, reason="the samples are not at hand")
def test_most_of_what_is_no_openmetrics_is_named() -> None:
    """Of the pages that a strict parser refuses, those that break the syntax are named with their line. Rules about
    what the values mean (a histogram without a count) are the exporter's business, and Prometheus does not mind."""
    silent = [str(case["input"]) for case in BROKEN if not _problems(case)]
    types = "histogram|gaugehistogram|summary|stateset|info|counter|gauge|untyped"
    meaning = re.compile(rf'# (?:TYPE a_?\w* (?:{types})|UNIT|HELP)|a  1|2",}}')
    assert [text for text in silent if not meaning.search(text)] == []
    assert len(silent) < 100


def _problems(case: dict[str, object]) -> list[str]:
    return Reader().read(str(case["input"]).encode("utf-8", "surrogatepass"), openmetrics=True).problems


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"# TYPE b meh", "no type of metric"),
        (b"", "an empty line"),
        (b" b 1", "space at the beginning"),
        (b"b 1 ", "space at the end"),
        (b"# WHAT b is", "neither HELP, TYPE, UNIT nor EOF"),
        (b'b{x="1"}1', "no space before the value"),
        (b"# EOF", "something stands behind # EOF"),
        (b"b {count:24,sum:100,schema:0}", "a native histogram, which is not read"),
    ],
)
def test_what_openmetrics_forbids_is_named(line: bytes, words: str) -> None:
    """The line number and what is wrong; the samples around it are kept."""
    page = Reader().read(b"a 1\n" + line + b"\nc 3\n# EOF\n", openmetrics=True)
    assert {"a", "c"} <= {name for name, *_rest in page.samples}
    (problem,) = page.problems
    assert problem.startswith("line 2: ")
    assert words in problem


def test_a_time_that_is_none_is_named() -> None:
    """A timestamp beyond all numbers breaks its line, not the page, and not the program."""
    page = Reader().read(b"a 1 1e999\nb 2 5\n")
    assert [name for name, *_rest in page.samples] == ["b"]
    assert "the timestamp is not a number" in page.problems[0]


def test_an_endless_label_is_one_named_problem() -> None:
    """A label value of twenty megabytes breaks its line and nothing else."""
    text = b'a{x="' + b"y" * 20_000_000 + b'"} 1\nb 2\n'
    page = Reader().read(text)
    assert [name for name, *_rest in page.samples] == ["b"]
    assert len(page.problems) == 1
    assert "longer than" in page.problems[0]


def test_only_the_wanted_names_are_read() -> None:
    """A name that begins like a wanted one, or follows it, is another metric."""
    text = b'a 1\na_total 2\na_bucket{le="1"} 3\nab 4\nb{a="a 9"} 5\n a{x="y"} 6\n'
    page = Reader(frozenset({"a", "a_bucket"})).read(text)
    assert [(name, value) for name, _, value, _ in page.samples] == [("a", 1.0), ("a_bucket", 3.0)]
    assert sample_names(text) == {"a", "a_total", "a_bucket", "ab", "b"}


def test_a_broken_line_is_named_and_the_rest_is_read() -> None:
    """The number of the line, what is wrong with it and its text; the samples around it are kept."""
    text = b'a 1\nb{x="1" 2\nc 1_000\nd{x="1",x="2"} 3\ne{y="z"}\nf 6\n'
    page = Reader(frozenset("abcdef")).read(text)
    assert [name for name, _, _, _ in page.samples] == ["a", "f"]
    assert [problem.split(":")[0] for problem in page.problems] == ["line 2", "line 3", "line 4", "line 5"]
    assert "'x' stands twice" in page.problems[2]


def test_a_sample_that_stands_twice_is_kept_once() -> None:
    """The first of two equal series counts, and the second is named."""
    page = Reader().read(b'a{x="1"} 1\na{x="1"} 2\n')
    assert [value for _, _, value, _ in page.samples] == [1.0]
    assert page.problems == ['line 2: a{x="1"} stands twice; the first is kept']


def test_timestamps_are_seconds_inside() -> None:
    """Milliseconds in the text format, seconds in OpenMetrics."""
    assert Reader().read(b"a 1 1700000000500\n").samples[0][3] == 1700000000.5
    assert Reader().read(b"a 1 1700000000.5\n# EOF\n", openmetrics=True).samples[0][3] == 1700000000.5


def test_hostile_pages_are_bounded() -> None:
    """Endless lines, thousands of broken lines and control characters cost little and stay out of messages."""
    text = b"a" * (MAX_LINE + 10) + b" 1\n" + b'b{x="\x1b[31m' * 2 + b"\n" + b"c{ 1\n" * 5000
    page = Reader().read(text)
    assert page.samples == []
    assert len(page.problems) == MAX_PROBLEMS
    assert page.broken == 5002
    assert all("\x1b" not in problem and len(problem) < 250 for problem in page.problems)


def test_an_openmetrics_page_without_its_end_is_suspect() -> None:
    """A page cut short at a line's end looks whole but for the missing marker."""
    assert "cut short" in Reader().read(b"a 1\n", openmetrics=True).problems[0]


_name = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", fullmatch=True)
_label = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"], include_characters='\n"\\ ,={}#'), max_size=12
)
_value = st.one_of(st.floats(), st.integers(-(10**15), 10**15).map(float))
_series = st.dictionaries(
    st.tuples(_name, st.dictionaries(_label, _text, max_size=3).map(lambda d: tuple(d.items()))), _value, max_size=6
)


def _line(name: str, labels: tuple[tuple[str, str], ...], value: float) -> str:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    block = ",".join(f'{key}="{quoted(text)}"' for key, text in labels)
    shown = "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else repr(value)
    return f"{name}{{{block}}} {shown}" if labels else f"{name} {shown}"


@settings(deadline=None, max_examples=200)
@given(_series)
def test_agrees_with_the_reference_on_any_page(
    series: dict[tuple[str, tuple[tuple[str, str], ...]], float],
) -> None:
    """Whatever names, label values and numbers a page holds, both readers read the same, wanted or not."""
    text = "".join(_line(name, labels, value) + "\n" for (name, labels), value in series.items())
    _same(_read(text), _reference(text, openmetrics=False))
    wanted = frozenset(name for name, _ in series)
    found = Reader(wanted).read(text.encode()).samples
    assert [(name, value) for name, _, value, _ in found if value == value] == [
        (name, value) for (name, _), value in series.items() if value == value
    ]
