"""Whom an alert reaches: as amtool says of the same configuration, and as a real Alertmanager then does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshdiag.checks.readings.routing import read_routes
from meshdiag.errors import SourceError
from tests.binaries import need
from tests.program import run
from tests.servers import alertmanager

NAMES, VALUES = ("severity", "team", "instance"), ("critical", "warning", "a", "b1", "")
names, values = st.sampled_from(NAMES), st.sampled_from(VALUES)
RECEIVERS = ("r0", "r1", "r2", "r3")


@st.composite
def matchers(draw: st.DrawFn) -> list[str]:
    """Matchers of every kind, as they are written today."""
    signs = st.sampled_from(("=", "!=", "=~", "!~"))
    made = draw(
        st.lists(st.tuples(names, signs, st.sampled_from((*VALUES, "a|b.", "c.*", ".+", "[ab]1?"))), max_size=2)
    )
    written = [f'{name}{sign}"{value}"' for name, sign, value in made]
    return [", ".join(written)] if written and draw(st.booleans()) else written


@st.composite
def routes(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """A route with those below it."""
    made: dict[str, Any] = {"continue": draw(st.booleans())} if depth else {"receiver": "r0"}
    if depth:
        made["matchers"] = draw(matchers())
        if draw(st.booleans()):
            made["receiver"] = draw(st.sampled_from(RECEIVERS))
        if draw(st.booleans()):
            made["match"] = draw(st.dictionaries(names, values, max_size=1))
        if draw(st.booleans()):
            made["match_re"] = draw(st.dictionaries(names, st.sampled_from(("a|b1", "crit.*")), max_size=1))
    if depth < 3:
        made["routes"] = draw(st.lists(routes(depth=depth + 1), max_size=3))  # type: ignore[call-arg]
    return made


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(route=routes(), labels=st.dictionaries(names, st.sampled_from([one for one in VALUES if one]), min_size=1))
def test_receivers_are_those_that_amtool_names(tmp_path: Path, route: dict[str, Any], labels: dict[str, str]) -> None:
    """Any tree of routes, any labels."""
    amtool = need("amtool")
    config = json.dumps({"route": route, "receivers": [{"name": name} for name in RECEIVERS]})
    file = tmp_path / "alertmanager.yml"
    file.write_text(config)
    pairs = [f"{name}={value}" for name, value in labels.items()]
    told = subprocess.run(
        [amtool, "config", "routes", "test", f"--config.file={file}", *pairs],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert told.returncode == 0, told.stderr
    ours = [way[-1].receiver for way in read_routes(config).reached(labels)]
    assert ours == told.stdout.strip().split(",")


CONFIG = """
route:
  receiver: mesh-team
  group_by: [alertname]
  routes:
    - matchers: [severity="critical"]
      receiver: on-call
      continue: true
    - matchers: ['team=~"learn.*"']
      mute_time_intervals: [weekend]
      receiver: learning
receivers: [{name: mesh-team}, {name: on-call}, {name: learning}]
time_intervals: [{name: weekend, time_intervals: [{weekdays: [saturday]}]}]
"""


def test_the_loaded_configuration_answers() -> None:
    """meshdiag alerts route: all receivers, the way to each, the silences that would hide it, amtool's command."""
    import yaml

    with alertmanager(yaml.safe_load(CONFIG)) as receiver:
        flags = ("--alertmanager-url", receiver.url, "--prometheus-url", "http://127.0.0.1:9", "-o", "json")
        ran = run("alerts", "route", "severity=critical", "team=learning-a", *flags)
        assert ran.code == 0
        assert [row["receiver"] for row in ran.report["data"]] == ["on-call", "learning"]
        assert (
            ran.report["data"][1]["way"] == '(all) > team=~"learn.*"' and ran.report["data"][1]["muted_in"] == "weekend"
        )
        assert "amtool config routes test" in ran.check("alerts.route")["evidence"][0]["command"]
        silence = {
            "matchers": [{"name": "team", "value": "learning-.", "isRegex": True, "isEqual": True}],
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": "2099-01-01T00:00:00Z",
            "createdBy": "operator",
            "comment": "moving",
        }
        receiver.post("/api/v2/silences", json.dumps(silence).encode())
        ran = run("alerts", "route", "team=learning-a", *flags)
        assert ran.code == 1 and "1 silences would hide it" in ran.check("alerts.route")["summary"]
    assert run("alerts", "route").code == 64
    assert run("alerts", "route", "severity").code == 64


@pytest.mark.parametrize("config", ["", "receivers: []", "route: [", "route: &a {routes: [*a]}", "a: " + "[" * 300])
def test_a_configuration_that_cannot_be_read_is_one_sentence(config: str) -> None:
    """Not YAML, without routes, routes within themselves."""
    with pytest.raises(SourceError, match="configuration cannot be read"):
        read_routes(config)
