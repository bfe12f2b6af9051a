"""Rule files: what Prometheus takes is taken, what it refuses is refused for the same reason, with the place."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdiag.errors import UsageError
from meshdiag.rules.builtin import mesh_rules
from meshdiag.rules.groups import RuleFile, RuleFileError
from meshdiag.rules.loading import LARGEST, load_file, load_rules
from meshdiag.rules.reading import MAX_RULES, read_rules
from meshdiag.rules.spans import parse_span

DATA = Path(__file__).parents[3] / "shared" / "data" / "rules"
if not DATA.exists() and os.environ.get("CI"):
    pytest.fail(f"the published rule files are not at hand: {DATA}", pytrace=False)
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the published rule files are not at hand")

UNIT_TESTS = {"unittest", "long-period", "start-time-test", "no-test-group-interval", "failing", "rules_run"}
REFUSED = {"rules-bad.yml": 'undefined variable "$label"', "invalid_rules.yaml": "field unexpected_field not found"}
LEGACY = {
    "legacy_validation_annotation.bad.yaml": "bad where label names are ASCII; Prometheus 3 takes any UTF-8 text, and "
    "the same bytes stand there once more as a good file",
}
FATAL = re.compile(r"^Fatal: .*\((?:yaml/parse|promql/syntax|alerts/template)\)\n\s+---> (\S+?):(\d+)", re.MULTILINE)
"""What pint says of a file that Prometheus would not load: file and line."""
EXCUSED = {
    "0166_invalid_label.txt": "judged under legacy label names; Prometheus 3 takes any UTF-8 text",
    "0195_checkstyle_lint_no_dir.txt": "stops at a folder that is missing, before it reads its broken files",
    "0199_json_no_dir.txt": "stops at a folder that is missing, before it reads its broken files",
    "0205_parser_schema_thanos_ok.txt": "Thanos's fields; Prometheus refuses them",
}
"""Scenarios of pint whose verdict is not Prometheus 3's, with the reason."""


def problems(text: str) -> list[str]:
    """What is wrong with a file, as ``LINE: MESSAGE``; nothing when it loads."""
    try:
        read_rules(text, "x.yml")
    except RuleFileError as error:
        return [f"{one.line}: {one.message}" for one in error.problems]
    return []


def published() -> list[Path]:
    """Every published rule file but those of rulefmt, which have a list of verdicts."""
    found = [path for path in sorted(DATA.rglob("*.y*ml")) if path.stem not in UNIT_TESTS]
    return [path for path in found if path.parent.name != "rulefmt"]


@needs_data
@pytest.mark.parametrize("path", published(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_published_files_load_or_are_refused_as_upstream_says(path: Path) -> None:
    """Files that upstream takes load with all their rules; the two bad ones are refused for upstream's reason."""
    if path.name in REFUSED:
        with pytest.raises(RuleFileError, match=re.escape(REFUSED[path.name])):
            load_file(path)
        return
    text = path.read_text(encoding="utf-8")
    rules = len(re.findall(r"^\s*-?\s*(?:alert|record):", text, re.MULTILINE))
    assert len(load_file(path).rules) == rules


@needs_data
def test_enough_files_are_published() -> None:
    """The list above is not empty by mistake: 58 files of one collection alone, and the one with 10,000 rules."""
    assert sum("awesome-prometheus-alerts" in path.parts for path in published()) == 58
    assert (DATA / "promtool" / "rules_large.yml") in published()


@needs_data
def test_rulefmt_verdicts() -> None:
    """Each of rulefmt's own test files gets the verdict and the reason that upstream's tests expect."""
    expected = json.loads((DATA / "rulefmt" / "expected.json").read_text(encoding="utf-8"))
    assert len(expected) == 9
    for name, verdict in expected.items():
        found = "; ".join(problems((DATA / "rulefmt" / name).read_text(encoding="utf-8")))
        if verdict["valid"] or name in LEGACY:
            assert found == "", name
        else:
            assert verdict["error_contains"] in found, name


def txtar(text: str) -> Iterator[tuple[str, str]]:
    """The files of a txtar archive."""
    parts = re.split(r"^-- (\S+) --\n", text, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def scenarios() -> list[Path]:
    """The scenarios of the linter pint, but those over bare lists of rules, which are no files for Prometheus."""
    found = [path for path in sorted((DATA / "pint").glob("*.txt")) if path.name not in EXCUSED]
    return [path for path in found if "relaxed" not in dict(txtar(path.read_text("utf-8"))).get(".pint.hcl", "")]


@needs_data
@pytest.mark.parametrize("path", scenarios(), ids=lambda path: path.name)
def test_what_a_linter_calls_fatal_is_refused_at_that_line(path: Path) -> None:
    """Rule files that pint says Prometheus would not load are refused, with a problem on the line that it names;
    the others, as far as they are whole rule files, load."""
    sections = dict(txtar(path.read_text(encoding="utf-8")))
    if path.name in EXCUSED or ("relaxed" in sections.get(".pint.hcl", "") and path.name != "0067_relaxed.txt"):
        pytest.skip(EXCUSED.get(path.name, "bare lists of rules, which are no files for Prometheus"))
    fatal: dict[str, set[int]] = {}
    for file, line in re.findall(
        r"^Fatal: .*\((?:yaml/parse|promql/syntax|alerts/template)\)\n\s+---> (\S+?):(\d+)",
        sections.get("stderr.txt", ""),
        re.MULTILINE,
    ):
        fatal.setdefault(file, set()).add(int(line))
    for name, text in sections.items():
        if not name.endswith((".yml", ".yaml")) or "{%" in text:
            continue
        found = {int(one.partition(":")[0]) for one in problems(text)}
        if name in fatal:
            assert found >= fatal[name], problems(text)
        elif text.lstrip().startswith("groups:"):
            assert found == set(), problems(text)


RULE = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups:\n- rules: []\n", ["2: Groupname must not be empty"]),
        ("groups:\n- name: a\n- name: a\n", ['3: groupname: "a" is repeated in the same file']),
        ("groups:\n- name: g\n  rules:\n  - expr: up\n", ["4: one of 'record' or 'alert' must be set"]),
        (RULE + "    labels:\n      __name__: x\n", ["7: invalid label name: __name__"]),
        (RULE + "    annotations:\n      a: '{{ nope }}'\n", ['7: annotation "a": function "nope" not defined']),
        (RULE + "    labels:\n      a: '{{ $x }}'\n", ['7: label "a": undefined variable "$x"']),
        (RULE + "    for: 5 minutes\n", ['6: not a valid duration string: "5 minutes"']),
        (RULE + "    for: 5m\n    for: 6m\n", ['7: mapping key "for" already defined at line 6']),
        (RULE + "    labels: [a]\n", ["6: cannot unmarshal !!seq into map[string]string"]),
        (RULE + "    expression: up\n", ["6: field expression not found in type rulefmt.Rule"]),
        ("groups:\n- name: g\n  intervall: 1m\n", ["3: field intervall not found in type rulefmt.RuleGroup; did you"]),
        ("groups:\n- name: g\n  limit: many\n", ["3: cannot unmarshal !!str `many` into int"]),
        ("groups:\n- name: g\n  labels: {__name__: x}\n", ["2: invalid label name: __name__"]),
        ("groups:\n- name: g\n  rules:\n  - record: a{b}\n    expr: up\n", ["4: braces present in the recording rule"]),
        ("- alert: A\n  expr: up\n", ["1: cannot unmarshal !!seq into rulefmt.RuleGroups"]),
        ("groups: [", ["2: not valid YAML"]),
        ("apiVersion: v1\nkind: Pod\n", ["1: a Kubernetes Pod, and no PrometheusRule"]),
    ],
)
def test_every_problem_has_its_line_and_upstream_s_words(text: str, said: list[str]) -> None:
    """What a strict decoder and Prometheus's own checks refuse is named with the line where it stands."""
    found = problems(text)
    assert len(found) == len(said)
    for one, expected in zip(found, said, strict=True):
        assert one.startswith(expected), found


def test_an_error_names_file_group_rule_and_line(tmp_path: Path) -> None:
    """The sentence is enough to find the place, and a query is shown with a caret under what is wrong."""
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: mesh\n  rules:\n  - alert: Slow\n    expr: rat(x[5m]) > 1\n")
    with pytest.raises(RuleFileError) as caught:
        load_file(file)
    first, line, caret = caught.value.message.splitlines()
    assert first.startswith(f'{file}:5: group "mesh", rule 1 (Slow): could not parse expression: ')
    assert "did you mean rate?" in first
    assert line[caret.index("^") :].startswith("rat(")


def test_an_expression_over_several_lines_is_wrong_at_one_of_them() -> None:
    """Where the file shows the query line by line, the line of the mistake is named, not that of the field."""
    text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      sum(\n        rat(x[5m])\n      ) > 1\n"
    assert [one.partition(":")[0] for one in problems(text)] == ["7"]
    assert [one.partition(":")[0] for one in problems(text.replace("|", ">"))] == ["5"]


def test_a_wrong_field_does_not_hide_what_is_wrong_elsewhere() -> None:
    """Rules are judged one by one: only what could not be read is not judged as well."""
    text = (
        RULE
        + "  - alert: B\n    expr: up\n    for: 5 minutes\n  - alert: C\n    expr: sum(\n  - alert: D\n    exp: up\n"
    )
    assert [one.partition(":")[0] for one in problems(text)] == ["8", "10", "12"]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    """Whoever mends a file sees everything that is wrong with it, not one thing a run."""
    text = RULE + "  - alert: B\n  - record: c\n    expr: sum(\n    for: 1m\n"
    assert [one.partition(":")[0] for one in problems(text)] == ["6", "8", "9"]


def test_labels_of_groups_and_durations_are_read() -> None:
    """A rule has its group's labels under its own; durations are milliseconds; numbers stay the text they were."""
    text = (
        "groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n  limit: 5\n  labels: {team: a, tier: 1}\n  rules:\n"
        "  - alert: A\n    expr: 1\n    for: 1h30m\n    keep_firing_for: 0\n    labels: {team: b, n: 0x10}\n"
    )
    (group,) = read_rules(text, "x").groups
    (rule,) = group.rules
    assert (group.interval_ms, group.query_offset_ms, group.limit) == (30_000, 60_000, 5)
    assert (rule.for_ms, rule.keep_firing_for_ms, rule.expr, rule.line) == (5_400_000, 0, "1", 8)
    assert rule.labels == {"team": "b", "tier": "1", "n": "0x10"}


def test_aliases_and_merge_keys_are_followed() -> None:
    """Anchors, aliases and merge keys make the same rules as if everything had been written out."""
    text = (
        "groups:\n- name: g\n  rules:\n  - &first\n    alert: A\n    expr: &e up == 0\n    for: 5m\n"
        "    labels: &l {severity: page}\n"
        "  - <<: *first\n    alert: B\n    expr: *e\n    labels:\n      <<: [*l]\n      x: y\n"
    )
    first, second = read_rules(text, "x").rules
    assert (second.name, second.expr, second.for_ms) == ("B", first.expr, first.for_ms)
    assert second.labels == {"severity": "page", "x": "y"}


def test_only_the_first_document_counts_and_the_rest_is_told() -> None:
    """Prometheus reads one document of a file and says nothing of the others; here a note does."""
    file = read_rules(RULE + "---\n" + RULE, "x.yml")
    assert len(file.rules) == 1
    assert file.notes == ("only the first of its 2 documents is read, as in Prometheus",)


def test_resources_of_the_operator_are_found_among_others() -> None:
    """Every PrometheusRule of a manifest is read, also within a List; other kinds are passed over."""
    one = (
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {namespace: x}\nspec:\n  groups:\n"
        "  - name: NAME\n    partial_response_strategy: abort\n    interval: ''\n    rules:\n"
        "    - record: NAME\n      expr: up\n"
    )
    item = "\n".join(f"  {line}" for line in one.replace("NAME", "c").splitlines())
    text = "\n---\n".join(
        [
            "apiVersion: v1\nkind: Pod",
            one.replace("NAME", "a"),
            one.replace("NAME", "b"),
            f"apiVersion: v1\nkind: List\nitems:\n-{item[1:]}",
        ]
    )
    assert [rule.name for rule in read_rules(text, "x").rules] == ["a", "b", "c"]


def bombs() -> dict[str, str]:
    """Little text that would be much, or deep, if it were followed naively."""
    lists = "a: &a [x, x, x, x, x, x, x, x]\n"
    for place in range(20):
        name, before = chr(98 + place), chr(97 + place)
        lists += f"{name}: &{name} [{','.join([f'*{before}'] * 8)}]\n"
    rules = "groups:\n- name: g\n  rules: &r\n  - &x {record: a, expr: up}\n" + "  - *x\n" * 999
    merges = "groups:\n- name: g\n  rules:\n  - &m0 {" + ", ".join(f"k{i}: 1" for i in range(100)) + "}\n"
    return {
        "lists": lists,
        "rules": rules + "".join(f"- name: g{i}\n  rules: *r\n" for i in range(MAX_RULES // 1000)),
        "merges": merges + "".join(f"  - &m{i + 1} {{<<: [{','.join([f'*m{i}'] * 100)}]}}\n" for i in range(100)),
        "brackets": "[" * 200_000,
        "dashes": "- " * 200_000,
        "itself": "groups: &g [*g]",
        "documents": "---\n" * 5000,
    }


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused_in_one_sentence(name: str) -> None:
    """Aliases, merge keys and nesting that would fill the memory or the stack end in an error."""
    with pytest.raises(RuleFileError) as caught:
        read_rules(bombs()[name], "x.yml")
    assert caught.value.message.startswith("x.yml:")


def test_paths_and_globs(tmp_path: Path) -> None:
    """A glob gives its files in order, each once; one that fits nothing is an error and not an empty answer."""
    for name in ("b.yml", "a.yml", "[c].yml"):
        (tmp_path / name).write_text(RULE)
    (tmp_path / "folder.yml").mkdir()
    files = load_rules(["b.yml", "*.yml"], tmp_path)
    assert [Path(file.name).name for file in files] == ["b.yml", "[c].yml", "a.yml"]
    assert [Path(one.name).name for one in load_rules(["[c].yml"], tmp_path)] == ["[c].yml"]
    with pytest.raises(UsageError, match="no rule file fits"):
        load_rules(["*.rules"], tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", ":1: not UTF-8 text"),
        (b"a: 1\n\xff", ":2: not UTF-8 text"),
        (b"a: \x00", "not valid YAML"),
        (b"#" * (LARGEST + 1), "is larger than"),
        (None, "is a directory"),
    ],
)
def test_what_is_no_rule_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Other bytes, far too many of them, or a folder: one sentence with the file's name."""
    path = tmp_path / "x.yml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(RuleFileError) as caught:
        load_file(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_a_missing_file_and_an_empty_one(tmp_path: Path) -> None:
    """A file that is not there is an error; an empty one holds no rules, as for Prometheus."""
    with pytest.raises(RuleFileError, match="no such file"):
        load_file(tmp_path / "nope.yml")
    (tmp_path / "empty.yml").touch()
    assert load_file(tmp_path / "empty.yml") == RuleFile(str(tmp_path / "empty.yml"), ())


@pytest.mark.parametrize(
    ("text", "ms"), [("0", 0), ("1d", 86_400_000), ("1h30m", 5_400_000), ("5ms", 5), ("1y2w", 32_745_600_000)]
)
def test_durations(text: str, ms: int) -> None:
    """Durations as Prometheus writes them."""
    assert parse_span(text) == ms


@pytest.mark.parametrize("text", ["", "1", "-5m", "5m1h", "1.5h", "5M", "9999999999y", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused, units in the wrong order among it."""
    with pytest.raises(ValueError, match="duration"):
        parse_span(text)


def test_the_mesh_s_own_rules_are_the_documentation_s() -> None:
    """Three critical and three warning rules, in the documentation's groups and waiting times."""
    groups = {group.name: group.rules for group in mesh_rules().groups}
    assert {name: len(rules) for name, rules in groups.items()} == {"critical": 3, "warnings": 3}
    waits = {rule.name: rule.for_ms // 1000 for rules in groups.values() for rule in rules}
    assert (waits["HighMemoryUsage"], waits["ModelAccuracyDrop"]) == (600, 900)
