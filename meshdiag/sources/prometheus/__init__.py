"""The Prometheus HTTP API, as Prometheus, Thanos, Cortex, Mimir and VictoriaMetrics speak it.

client.py    ``Prometheus``: the questions
api.py       one request: the envelope, refusals, "starting", "not available here"
answers.py   JSON to vectors and matrices
state.py     targets, rules, alerts, build: typed
batch.py     many expressions in one request
identity.py  is it a Prometheus at all, and what else is it
absence.py   why an answer is empty
"""

from __future__ import annotations

from meshdiag.sources.prometheus.client import Prometheus
from meshdiag.sources.prometheus.identity import Identity
from meshdiag.sources.prometheus.state import (
    ActiveAlert,
    BuildInfo,
    MetricMetadata,
    Rule,
    RuleGroup,
    Rules,
    RuntimeInfo,
    Target,
    Targets,
    TsdbStatus,
)

__all__ = [
    "ActiveAlert",
    "BuildInfo",
    "Identity",
    "MetricMetadata",
    "Prometheus",
    "Rule",
    "RuleGroup",
    "Rules",
    "RuntimeInfo",
    "Target",
    "Targets",
    "TsdbStatus",
]
