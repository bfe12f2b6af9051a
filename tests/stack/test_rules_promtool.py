"""Rules and templates against promtool, which is Prometheus's own code."""

from __future__ import annotations

import json
import math
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meshdiag.metrics import Vector
from meshdiag.promql.evaluator import instant
from meshdiag.promql.store import Store
from meshdiag.promql.values import Options, show
from meshdiag.rules.evaluating import FIRING, Evaluator
from meshdiag.rules.groups import RuleFile, RuleFileError
from meshdiag.rules.loading import load_file
from meshdiag.rules.reading import read_rules
from meshdiag.rules.templates import expand
from tests.binaries import need
from tests.promqltest import read_series, read_values
from tests.templates import CASES, EXTERNAL, LABELS, OF_A_VALUE, SERIES, VALUES, data


def test_templates_make_the_text_that_prometheus_makes(tmp_path: Path) -> None:
    """Every template of the list, over every value where it depends on one, as the annotation of an alert."""
    cases = [(template, value) for template in OF_A_VALUE for value in VALUES] + [(one, 42.5) for one in CASES]
    values = sorted({value for _, value in cases}, key=str)
    series = [{"series": f'up{{instance="{i}",job="{job}"}}', "values": f"{value}"} for i, job, value in SERIES]
    labels = ",".join(f'{name}="{value}"' for name, value in LABELS.items())
    series += [{"series": f'm{{n="{place}",{labels}}}', "values": _number(one)} for place, one in enumerate(values)]
    rules, tests = [], []
    for place, (template, value) in enumerate(cases):
        rules.append(
            {
                "alert": f"A{place}",
                "expr": f'sum without (n) (m{{n="{values.index(value)}"}})',
                "annotations": {"text": template},
            }
        )
        expected = {"exp_labels": dict(LABELS), "exp_annotations": {"text": expand(template, data(value)).text}}
        tests.append({"eval_time": "0m", "alertname": f"A{place}", "exp_alerts": [expected]})
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    test = {"interval": "1m", "external_labels": EXTERNAL, "input_series": series, "alert_rule_test": tests}
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": [test]}, ensure_ascii=False))
    ran = promtool("test", "rules", "tests.yml", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Inf" if math.isinf(value) else repr(float(value))


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(
        [need("promtool"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


RULE = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        RULE,
        RULE + "    for: 5m\n    keep_firing_for: 1m\n    labels: {a: b}\n",
        RULE + "    for: 5 m\n",
        RULE + "    for: 1m1h\n",
        RULE + "    for: 0\n",
        RULE + "    labels: {a: 1, b: true, c: null, d: 1.50}\n",
        RULE + "    labels: {a: [b]}\n",
        RULE + "    labels: null\n",
        RULE + "    labels: {__name__: x}\n",
        RULE + "    annotation: {}\n",
        RULE + "    for: 5m\n    for: 5m\n",
        RULE + "    annotations: {a: '{{ $labels.x | toUpper }}'}\n",
        RULE + "    annotations: {a: '{{ $x }}'}\n",
        RULE + "    annotations: {a: '{{ if }}'}\n",
        RULE + "    annotations: {a: '{{ with $x := 1 }}{{ $x }}{{ end }}{{ $x }}'}\n",
        RULE + "    annotations: {a: '{{ range $i, $x := query `up` }}{{ $x.Value }}{{ end }}'}\n",
        RULE + "    record: x\n",
        "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum by (a) (rate(x[5m]))\n    for: 0s\n",
        "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: x\n    annotations: {a: b}\n",
        "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: rate(x)\n",
        "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: ''\n",
        "groups:\n- name: g\n  interval: 1x\n",
        "groups:\n- name: ''\n",
        "groups:\n- name: g\n- name: g\n",
        "groups:\n- name: g\n  limit: 5\n  rules:\n  - {record: a, expr: 1}\n",
        "groups:\n- name: g\n  limit: x\n",
        "groups: {}\n",
        "groups:\n",
        "group:\n- name: g\n",
        "- a\n",
        "groups:\n- name: g\n  rules:\n  - &x {record: a, expr: '1'}\n  - <<: *x\n    record: b\n",
    ],
)  # fmt: skip
def test_files_are_taken_and_refused_as_promtool_does(tmp_path: Path, text: str) -> None:
    """The verdict over a rule file is Prometheus's."""
    file = tmp_path / "rules.yml"
    file.write_text(text)
    checked = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    try:
        load_file(file)
        said = ""
    except RuleFileError as error:
        said = error.message
    assert (said == "") is (checked.returncode == 0), said + checked.stdout + checked.stderr


def test_alerts_come_and_go_as_in_prometheus(tmp_path: Path) -> None:
    """Over random series, every alert (its state, labels, annotations) and recorded series is at every minute what
    promtool's evaluation has: waiting, firing on, staleness, rules that read rules."""
    chance = random.Random(20_261_122)
    words = ["0", "1", "2", "_", "stale"]
    series = [
        {"series": f'x{{i="{place}"}}', "values": " ".join(chance.choices(words, [4, 4, 2, 2, 1], k=MINUTES))}
        for place in range(6)
    ]
    rules: list[dict[str, object]] = [{"record": "y", "expr": "x * 2", "labels": {"k": "v"}}]
    for place in range(12):
        name = chance.choice(("x", "y"))
        rules.append(
            {
                "alert": f"A{place}",
                "expr": chance.choice((f"{name} > 0", f"{name} == 2", f"sum({name}) > 5", f"absent({name} > 3)")),
                "for": chance.choice(("0s", "1m", "2m", "3m")),
                "keep_firing_for": chance.choice(("0s", "1m", "3m")),
                "labels": {"big": "{{ gt $value 1.0 }}"} if place % 3 == 0 else {},
                "annotations": {"s": "{{ $labels.i }} is {{ $value }}"},
            }
        )
    rules.append({"record": "active", "expr": "count by (alertname, alertstate) (ALERTS)"})
    text = json.dumps({"groups": [{"name": "g", "rules": rules}]})
    (tmp_path / "rules.yml").write_text(text)
    version = promtool("--version", cwd=tmp_path).stdout
    options = Options(prometheus2=" version 2." in version)  # a look-back holds its left end there
    alert_tests, query_tests = step(read_rules(text, "x"), series, options)
    test = {"interval": "1m", "input_series": series, "alert_rule_test": alert_tests, "promql_expr_test": query_tests}
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": [test]}))
    ran = promtool("test", "rules", "tests.yml", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert sum(len(one["exp_alerts"]) for one in alert_tests) > 100
    assert sum(len(one["exp_samples"]) for one in query_tests) > 100


MINUTES = 40


def step(
    file: RuleFile, series: list[dict[str, str]], options: Options
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What our evaluation has at every minute, as expectations of a rule unit test."""
    store = Store()
    for one in series:
        labels, _rest = read_series(one["series"])
        for place, value in enumerate(read_values(one["values"])):
            if value is not None:
                store.add(labels, place * 60_000, value)
    evaluator = Evaluator(file.groups, store, options=options)
    alerts, queries = [], []
    for minute in range(MINUTES + 5):
        for outcome in evaluator.evaluate(minute * 60_000):
            if not outcome.rule.record:
                firing = [
                    {"exp_labels": dict(alert.labels), "exp_annotations": dict(alert.annotations)}
                    for alert in outcome.alerts
                    if alert.state == FIRING
                ]
                alerts.append({"eval_time": f"{minute}m", "alertname": outcome.rule.name, "exp_alerts": firing})
        for query in ("ALERTS", "ALERTS_FOR_STATE", "active", "y"):
            found = instant(store, query, minute * 60_000, options)
            assert isinstance(found, Vector)
            samples = [{"labels": show(dict(one.labels)), "value": one.value} for one in found.samples]
            queries.append({"eval_time": f"{minute}m", "expr": query, "exp_samples": samples})
    return alerts, queries
