"""Traces as OpenTelemetry writes them in JSON: resources, scopes, spans.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Ids are hexadecimal there, and base64 where a
server uses the usual mapping of protocol buffers (Tempo); enumerations are numbers or their names.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from meshdiag.sources.http.fields import rows, text
from meshdiag.sources.traces.trace import Span, Trace, node_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NS: Final = 1e9
ERRORS: Final = (2, "STATUS_CODE_ERROR")
KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
_HEX = re.compile(r"[0-9a-f]+")
SPAN_ID_DIGITS: Final = 16


def read_trace(trace_id: str, body: Mapping[str, Any]) -> Trace | None:
    """A trace of ``resourceSpans`` (``batches`` in Tempo's first version, under ``trace`` in its second); None
    without spans. Raises ``TypeError``, ``ValueError``, ``KeyError`` for another shape."""
    inner = body.get("trace", body)
    resources = inner["batches"] if "batches" in inner else inner["resourceSpans"]
    spans = sorted(_spans(rows(resources)), key=lambda span: span.start_s)
    return Trace(trace_id, tuple(spans)) if spans else None


def _spans(resources: list[Any]) -> Iterator[Span]:
    for resource in resources:
        about = _attributes((resource.get("resource") or {}).get("attributes"))
        service, node = about.get("service.name", ""), node_of(about)
        scopes = resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans")
        for scope in rows(scopes):
            for one in rows(scope.get("spans")):
                yield _span(one, service, node)


def _span(one: Mapping[str, Any], service: str, node: str) -> Span:
    start = int(one["startTimeUnixNano"])
    tags = _attributes(one.get("attributes"))
    return Span(
        id=_id(text(one, "spanId")),
        parent=_id(text(one, "parentSpanId")),
        service=service,
        operation=text(one, "name"),
        start_s=start / NS,
        duration_s=max(int(one["endTimeUnixNano"]) - start, 0) / NS,
        kind=_kind(one.get("kind")),
        node=node,
        error=(one.get("status") or {}).get("code") in ERRORS,
        tags=tags,
    )


def _id(value: str) -> str:
    """An id in hexadecimal."""
    if not value or (len(value) == SPAN_ID_DIGITS and _HEX.fullmatch(value.lower())):
        return value.lower()
    return base64.b64decode(value).hex()


def _kind(value: Any) -> str:
    if isinstance(value, int):
        return KINDS[value] if 0 <= value < len(KINDS) else ""
    return str(value or "").removeprefix("SPAN_KIND_").lower().replace("unspecified", "")


def _attributes(value: Any) -> dict[str, str]:
    """Attributes as text: the one field that a value has."""
    found = {}
    for one in rows(value):
        held = next(iter((one.get("value") or {}).values()), "")
        found[text(one, "key")] = str(held).lower() if isinstance(held, bool) else str(held)
    return found
