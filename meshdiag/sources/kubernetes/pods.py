"""Which containers of which pods are meant, read from what ``kubectl get -o json`` answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from meshdiag.sources.streams.process import printable
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GLOB = re.compile(r"[*?\[]")
KINDS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


@dataclass(frozen=True, slots=True)
class PodContainer:
    """One container of one pod. ``instance`` changes when it is started anew; ``waiting`` is the reason where it has
    never run; ``before`` says whether an earlier instance has ended."""

    pod: str
    uid: str
    name: str
    instance: str = ""
    running: bool = False
    waiting: str = ""
    before: bool = False

    @property
    def shown(self) -> str:
        """``pod/container``."""
        return f"{self.pod}/{self.name}"


def read_pods(body: Any) -> list[PodContainer]:
    """The containers in a list of pods (or one pod), in their order. Raises ``TypeError``, ``KeyError``,
    ``AttributeError`` for another shape."""
    items = body.get("items", [body])
    return [container for pod in items for container in _containers(pod)]


def _containers(pod: Any) -> Iterator[PodContainer]:
    metadata, status, spec = pod["metadata"], pod.get("status") or {}, pod.get("spec") or {}
    known = {one["name"]: one for kind in KINDS for one in status.get(kind) or ()}
    kinds = ("initContainers", "containers", "ephemeralContainers")
    names = [printable(str(one["name"])) for kind in kinds for one in spec.get(kind) or ()]
    for name in names:
        yield _container(printable(str(metadata["name"])), str(metadata.get("uid") or ""), name, known.get(name) or {})


def _container(pod: str, uid: str, name: str, status: Any) -> PodContainer:
    state, before = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
    never = not status.get("containerID") and before is None and "terminated" not in state
    waiting = state.get("waiting") or {}
    return PodContainer(
        pod,
        uid,
        name,
        instance=f"{status.get('restartCount') or 0}/{status.get('containerID') or ''}",
        running="running" in state,
        waiting=printable(str(waiting.get("reason") or "it is not scheduled"))
        if never and "running" not in state
        else "",
        before=before is not None,
    )


def selector_of(owner: Any) -> str:
    """The label selector of what owns pods: a deployment and its like, or a service. Empty where it has none."""
    selector = (owner.get("spec") or {}).get("selector") or {}
    if not isinstance(selector, dict):
        raise TypeError("selector is not an object")
    labels = selector.get("matchLabels", {} if "matchExpressions" in selector else selector) or {}
    terms = [f"{key}={value}" for key, value in labels.items()]
    return ",".join((*terms, *(_term(one) for one in selector.get("matchExpressions") or ())))


def _term(expression: Any) -> str:
    key, values = expression["key"], ",".join(map(str, expression.get("values") or ()))
    operators = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }
    return str(operators[expression["operator"]])


def named(word: str, containers: Sequence[PodContainer]) -> list[PodContainer]:
    """The containers of the pods that a name or glob means."""
    if _GLOB.search(word):
        return [one for one in containers if fnmatchcase(one.pod, word)]
    return [one for one in containers if one.pod == word]


def near(word: str, containers: Sequence[PodContainer]) -> str:
    """The question what a pod's name was meant to be; else which pods there are."""
    names = sorted({one.pod for one in containers})
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return did_you_mean(word, names, f"there are {listed}" if names else "there is no pod at all here")
