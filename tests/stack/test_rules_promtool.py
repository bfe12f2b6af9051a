"""Rules and templates against promtool, which is Prometheus's own code."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest

from meshdiag.rules.groups import RuleFileError
from meshdiag.rules.loading import load_file
from meshdiag.rules.templates import expand
from tests.binaries import need
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
