"""Alerts of Prometheus and Alertmanager in one table: what ``meshdiag alerts`` shows."""

from __future__ import annotations
