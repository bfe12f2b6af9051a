"""How a container fares: running, healthy, restarting, killed.

Source: https://docs.docker.com/engine/api/v1.41/ (ContainerInspect, State), and what engines answer (20.10.24).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshdiag.sources.http import excerpt
from meshdiag.sources.http.fields import text

if TYPE_CHECKING:
    from meshdiag.sources.docker.containers import Container


@dataclass(frozen=True, slots=True)
class State:
    """How a container fares. ``status`` is the engine's word (``running``, ``exited`` …), ``health`` that of its health
    check ("" without one) and ``health_said`` its last output; ``restarts`` how often the engine started it anew;
    ``started`` and ``finished`` as the engine writes them."""

    container: Container
    status: str
    health: str = ""
    health_said: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    restarts: int = 0
    error: str = ""
    started: str = ""
    finished: str = ""


def read_state(container: Container, body: Any) -> State:
    """The answer of /containers/ID/json. Raises ``TypeError``, ``ValueError``, ``KeyError`` for another shape."""
    state = body["State"]
    health = state.get("Health") or {}
    log = health.get("Log") or [{}]
    status = text(health, "Status")
    return State(
        container,
        status=text(state, "Status"),
        health="" if status == "none" else status,
        health_said=excerpt(text(log[-1], "Output"), 200),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(body.get("RestartCount") or 0),
        error=excerpt(text(state, "Error"), 200),
        started=text(state, "StartedAt"),
        finished=text(state, "FinishedAt"),
    )
