"""``meshdiag dashboards check``: each query of a dashboard is asked of a real Prometheus, or it is said why not."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import run
from tests.replay import exchanges, replay
from tests.servers import open_metrics, prometheus

if TYPE_CHECKING:
    from tests.serving import Asked, Server

PUBLISHED = Path("../shared/data/dashboards")
PROMETHEUS = {"type": "prometheus", "uid": "${ds}"}


def _target(expr: str, ref: str = "A", **more: Any) -> dict[str, Any]:
    return {"refId": ref, "expr": expr, **more}


def _panel(title: str, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": title, "type": "timeseries", "datasource": PROMETHEUS, "targets": list(targets), **more}


def _variable(name: str, query: str, type_: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "query": query, "datasource": PROMETHEUS, **more}


PLANTED = {
    "title": "Planted",
    "uid": "planted",
    "templating": {
        "list": [
            _variable("ds", "prometheus", "datasource"),
            _variable("picked", "label_values(mesh_up{node=~'$node'}, node)", regex="/(node-1)/"),
            _variable("node", "label_values(mesh_up, node)", multi=True, includeAll=True),
            _variable("every", "30s,1m", "interval"),
            _variable("void", "label_values(mesh_nothing, node)"),
            _variable("named", "query_result(mesh_up)", regex='/node="([^"]+)"/'),
            _variable("metric", "metrics(mesh_.)"),
            _variable("fixed", "mesh", "constant"),
        ]
    },
    "panels": [
        _panel("well", _target('mesh_up{node=~"$node"}'), _target("count_over_time(mesh_up[$every])", "B")),
        _panel("built in", _target("sum_over_time(mesh_up[$__range])"), _target("vector($__interval_ms)", "B")),
        _panel("resolved", _target('mesh_up{node="$picked"}'), _target('${metric}{node="${named}"}', "B")),
        _panel("twice", _target("${fixed}_up")),
        _panel("wrong metric", _target("mesh_upp")),
        _panel("wrong label", _target('mesh_up{node="node-9"}')),
        _panel("quiet", _target("mesh_up > 5")),
        _panel("broken", _target("sum(mesh_up")),
        _panel("no variable", _target('mesh_up{node="$nobody"}')),
        _panel("no value", _target('mesh_up{node="$void"}')),
        _panel("elsewhere", _target("mesh_up"), datasource={"type": "prometheus", "uid": "${nowhere}"}),
        _panel("lines", _target('{job="x"} |= "y"'), datasource={"type": "loki", "uid": "l"}),
        _panel("unseen", _target("mesh_up", hide=True), type="graph"),
        _panel("repeated", _target('mesh_up{node="$node"}'), repeat="node"),
    ],
}
VERDICTS = {
    ("well", "A"): ("pass", ""),
    ("well", "B"): ("pass", ""),
    ("built in", "A"): ("pass", ""),
    ("built in", "B"): ("pass", ""),
    ("resolved", "A"): ("pass", ""),
    ("resolved", "B"): ("pass", ""),
    ("twice", "A"): ("pass", ""),
    ("wrong metric", "A"): ("warn", "did you mean mesh_up"),
    ("wrong label", "A"): ("warn", "exists, but not with"),
    ("quiet", "A"): ("pass", "condition leaves none"),
    ("broken", "A"): ("fail", "parse error"),
    ("no variable", "A"): ("fail", "no variable $nobody"),
    ("no value", "A"): ("warn", "$void has no value"),
    ("elsewhere", "A"): ("skip", "no variable of datasources is called $nowhere"),
    ("lines", "A"): ("skip", "LogQL"),
    ("unseen", "A"): ("skip", "hidden"),
    ("repeated", "A"): ("pass", ""),
}


def _history() -> str:
    now = int(time.time())
    points = [(float(moment), 1.0) for moment in range(now - 120, now, 15)]
    return open_metrics((f'mesh_up{{node="node-{number}"}}', points) for number in (1, 2, 3))


def test_what_was_planted_in_a_dashboard_is_found(tmp_path: Path) -> None:
    """Of "dashboards.queries", "dashboards.datasources" and "dashboards.panel-types": each planted fault is named
    in its panel, and whatever works passes, with its variables resolved; no Grafana is there."""
    file = tmp_path / "planted.json"
    file.write_text(json.dumps(PLANTED))
    with prometheus(_history()) as server:
        flags = ("--prometheus-url", server.url)
        ran = run("dashboards", "check", str(file), "-o", "json", *flags)
        shown = run("dashboards", "check", str(file), *flags)
        quick = run("dashboards", "check", str(file), "--only", "dashboards.panel-types", "-o", "json", *flags)
    said = {(row["panel"], row["query"]): (row["verdict"], row["said"]) for row in ran.report["data"]}
    assert set(said) == set(VERDICTS)
    for place, (verdict, words) in VERDICTS.items():
        assert said[place][0] == verdict and words in said[place][1], (place, said[place])
    assert ran.verdicts == {
        "stack.prometheus": "pass",
        "dashboards.queries": "fail",
        "dashboards.datasources": "fail",
        "dashboards.panel-types": "warn",
    }
    assert ran.code == 2 and shown.code == 2
    asked = {row["panel"]: row["expression"] for row in ran.report["data"]}
    assert asked["repeated"] == 'mesh_up{node="node-1"}'
    assert "broken" in shown.stdout and "resolved" not in shown.stdout, "a terminal shows what is in trouble"
    assert set(quick.verdicts) == {"stack.prometheus", "dashboards.panel-types"} and quick.code == 1


def test_a_dashboard_of_grafana_is_fetched_by_its_uid() -> None:
    """From Grafana as it really answered; a uid that it does not have is said with the ones that are near."""

    def choose(asked: Asked) -> str | None:
        paths = {"/api/dashboards/uid/mesh-overview": "dashboard_by_uid", "/api/datasources": "datasources"}
        return {**paths, "/api/search": "search"}.get(asked.path) or "dashboard_not_found"

    board = exchanges("grafana-6.5.1")["dashboard_by_uid"].json["dashboard"]
    with prometheus(_history()) as server, replay("grafana-6.5.1", choose) as grafana:
        environment = _environment(server.url, grafana)
        ran = run("dashboards", "check", "mesh-overview", "-o", "json", environment=environment)
        missing = run("dashboards", "check", "mesh-overveiw", "-o", "json", environment=environment)
    assert {row["dashboard"] for row in ran.report["data"]} == {board["title"]}
    assert {row["datasource"] for row in ran.report["data"]} <= {"Prometheus", "Prometheus-dead", "Loki", "ds"}
    assert missing.verdicts["dashboards.queries"] == "unknown" and missing.code == 3
    assert "did you mean mesh-overview?" in missing.report["checks"][-1]["hint"]


def _environment(url: str, grafana: Server) -> dict[str, str]:
    return {"MESHDIAG_PROMETHEUS_URL": url, "MESHDIAG_GRAFANA_URL": grafana.url}


def test_what_is_no_dashboard_is_said(tmp_path: Path) -> None:
    """A file that is not there or a folder without dashboards is wrong usage; one that is no JSON is unknown."""
    (tmp_path / "x.json").write_text("{")
    assert run("dashboards", "check", str(tmp_path / "gone.json")).code == 64
    assert run("dashboards", "list", "x").code == 64
    (tmp_path / "empty").mkdir()
    assert "no dashboard in" in run("dashboards", "check", str(tmp_path / "empty")).stderr
    with prometheus() as server:
        ran = run("dashboards", "check", str(tmp_path), "-o", "json", "--prometheus-url", server.url)
    assert ran.code == 3 and "not JSON" in ran.report["checks"][1]["summary"]


def test_a_terminal_shows_the_worst_and_says_how_many_more(tmp_path: Path) -> None:
    """A metric that is gone empties hundreds of panels; -v lists them all."""
    panels = [_panel(f"panel {number}", _target("mesh_gone", datasource=None)) for number in range(70)]
    file = tmp_path / "many.json"
    file.write_text(json.dumps({"title": "Many", "panels": [{**one, "datasource": None} for one in panels]}))
    with prometheus() as server:
        flags = ("--prometheus-url", server.url)
        short = run("dashboards", "check", str(file), *flags).stdout
        whole = run("dashboards", "check", str(file), "-v", *flags).stdout
    assert "the worst 30 of 70 queries" in short and short.count("panel ") < 40
    assert all(f"panel {number}" in whole for number in range(70))


def test_every_published_dashboard_is_asked_through() -> None:
    """All of them load, and each expression is answered by an empty Prometheus or named with the reason why not; none
    fails to parse."""
    if not PUBLISHED.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{PUBLISHED} is not there")
        pytest.skip(f"{PUBLISHED} is not there")
    files = sorted(PUBLISHED.rglob("*.json"))
    with prometheus() as server:
        ran = run("dashboards", "check", str(PUBLISHED), "-o", "json", "--prometheus-url", server.url)
    findings = {one["id"]: one["findings"] for one in ran.report["checks"]}["dashboards.queries"]
    assert len(findings) == len(files)
    assert all(one["verdict"] in ("pass", "warn") for one in findings)
    rows = ran.report["data"]
    counts = Counter(row["verdict"] for row in rows)
    print(f"{len(files)} dashboards, {len(rows)} queries: {dict(counts)}")
    assert len(rows) == sum(file.read_text().count('"expr":') for file in files) - _empty(files)
    assert counts.keys() <= {"pass", "warn", "skip"}
    assert all(row["said"] for row in rows if row["verdict"] != "pass")
    assert {row["said"] for row in rows if row["verdict"] == "skip"} == {"hidden: Grafana does not ask it"}


def _empty(files: list[Path]) -> int:
    return sum(file.read_text().count('"expr": ""') for file in files)
