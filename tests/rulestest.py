"""Runs rule unit tests (the files of ``promtool test rules``) through our reading and evaluation of rules.

Run as a program it prints what is wrong with each file: ``python -m tests.rulestest FILE …``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from meshdiag.errors import QueryError
from meshdiag.metrics import NAME_LABEL, Matrix
from meshdiag.promql.evaluator import instant
from meshdiag.promql.store import Store
from meshdiag.promql.values import Options
from meshdiag.rules.evaluating import FIRING, Evaluator, Outcome
from meshdiag.rules.groups import Group
from meshdiag.rules.loading import load_rules
from meshdiag.rules.spans import parse_span
from tests.promqltest import read_series, read_values

Labels = frozenset[tuple[str, str]]
NATIVE = "native histograms"


class Failures(list[str]):
    """What is wrong; ``refused`` are evaluations that are not ours to judge, with the construct."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []


def run_file(path: Path) -> Failures:
    """Every test of a file."""
    # as texts: to the format "0x10" is ten zeros more, not sixteen
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    interval = parse_span(content.get("evaluation_interval", "1m"))
    files = load_rules(content.get("rule_files") or (), path.parent)
    groups = [group for file in files for group in file.groups]
    failures = Failures()
    for test in content["tests"]:
        _Test(test, groups, interval, failures).run()
    return failures


class _Test:
    """One test: series, rules stepped over them, expectations."""

    def __init__(self, test: Mapping[str, Any], groups: list[Group], interval: int, failures: Failures) -> None:
        self.test, self.interval, self.failures = test, interval, failures
        self.start = _start(test.get("start_timestamp", "0"))
        self.store = Store()
        self.native: list[str] = []
        self._load()
        options = Options(step_ms=interval)
        self.options = options
        self.evaluator = Evaluator(
            groups, self.store, options=options, external_labels=test.get("external_labels") or {}
        )

    def _load(self) -> None:
        step = parse_span(self.test.get("interval", "1m"))
        for one in self.test.get("input_series") or ():
            if "{{" in one["values"]:
                self.native.append(one["series"])
                continue
            labels, _rest = read_series(one["series"])
            for index, value in enumerate(read_values(one["values"])):
                if value is not None:
                    self.store.add(labels, self.start + index * step, value)

    def run(self) -> None:
        """Step through time; alerts are compared on the way, expressions at the end."""
        alerts = self.test.get("alert_rule_test") or ()
        queries = self.test.get("promql_expr_test") or ()
        last = max([parse_span(one["eval_time"]) for one in (*alerts, *queries)], default=0)
        for moment in range(0, last + 1, self.interval):
            outcomes = self.evaluator.evaluate(self.start + moment)
            self.failures += [f"rule {one.rule.name}: {one.error}" for one in outcomes if one.error]
            for expected in alerts:
                if moment <= parse_span(expected["eval_time"]) < moment + self.interval:
                    self._compare_alerts(expected, outcomes)
        for query in queries:
            self._compare_query(query)

    def _compare_alerts(self, expected: Mapping[str, Any], outcomes: list[Outcome]) -> None:
        name = expected["alertname"]
        got = sorted(
            (sorted(alert.labels.items()), sorted(alert.annotations.items()))
            for one in outcomes
            for alert in one.alerts
            if one.rule.name == name and not one.rule.record and alert.state == FIRING
        )
        wanted = sorted(
            (
                sorted({**_texts(one.get("exp_labels")), "alertname": name}.items()),
                sorted(_texts(one.get("exp_annotations")).items()),
            )
            for one in expected.get("exp_alerts") or ()
        )
        if got != wanted:
            self.failures.append(f"{name} at {expected['eval_time']}: expected {wanted}, got {got}")

    def _compare_query(self, query: Mapping[str, Any]) -> None:
        expr, when = query["expr"], query["eval_time"]
        if any(series.partition("{")[0] in expr for series in self.native):
            self.failures.refused.append(f"{expr}: {NATIVE}")
            return
        try:
            answer = instant(self.store, expr, self.start + parse_span(when), self.options)
        except QueryError as error:
            self.failures.append(f"{expr} at {when}: {error.message}")
            return
        assert not isinstance(answer, Matrix)
        got = {_key(sample.labels): sample.value for sample in answer.samples}
        wanted = {_key(labels): value for labels, value in _expected(query.get("exp_samples") or ())}
        if got != wanted:
            self.failures.append(f"{expr} at {when}: expected {wanted}, got {got}")


def _expected(samples: list[Mapping[str, Any]]) -> Iterator[tuple[dict[str, str], float]]:
    for one in samples:
        labels, _rest = read_series(one.get("labels", "{}"))
        yield labels, float(one["value"])


def _texts(mapping: Mapping[str, Any] | None) -> dict[str, str]:
    return dict(mapping or {})


def _key(labels: Mapping[str, str]) -> Labels:
    return frozenset(pair for pair in labels.items() if pair[1] or pair[0] == NAME_LABEL)


def _start(moment: str) -> int:
    try:
        return round(float(moment) * 1000)
    except ValueError:
        return round(datetime.fromisoformat(moment).timestamp() * 1000)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        found = run_file(Path(argument))
        print(f"{argument}: {'FAILED' if found else 'passed'}, {len(found.refused)} refused")
        for line in (*found, *found.refused):
            print(f"  {line}")
