"""Under which keys the logging libraries write time, level, component, node and message in JSON.

zap, zerolog, logrus, slog (Go), pino, bunyan, winston (Node), structlog, python-json-logger (Python), log4j2, logback
(Java), Serilog (.NET), tracing (Rust), Monolog (PHP), ECS, GELF, OpenTelemetry, MongoDB, journald and Docker.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from meshdiag.logs.formats.lines import text_of
from meshdiag.logs.levels import Scale
from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIME = (
    "ts", "time", "timestamp", "@timestamp", "t", "@t", "datetime", "date", "instant", "timeMillis", "asctime",
    "Timestamp", "Time", "eventTime", "event_time", "log_time", "logtime", "time_iso8601", "time_local",
    "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "timeUnixNano", "observedTimestamp", "created", "TS",
    "requestReceivedTimestamp", "start_time", "timestamp_ms", "epoch",
)  # fmt: skip
LEVEL = (
    "level", "lvl", "severity", "log.level", "loglevel", "log_level", "logLevel", "levelname", "level_name", "Level",
    "@l", "PRIORITY", "priority", "severity_text", "severityText", "SeverityText", "Severity", "LogLevel", "s",
    "log.severity", "fields.level", "levelno", "level_value", "severityNumber", "severity_number", "level_number",
    "LEVEL", "SEVERITY", "tags",
)  # fmt: skip
COMPONENT = (
    "component", "logger", "logger_name", "loggerName", "log.logger", "module", "subsystem", "SourceContext",
    "name", "channel", "category", "c", "package", "app", "service", "service.name", "SYSLOG_IDENTIFIER",
    "target", "source", "process", "_COMM",
)  # fmt: skip
NODE = (
    "node", "node_id", "nodeId", "node_name", "nodeName", "host", "hostname", "HOSTNAME", "_HOSTNAME", "host.name",
    "host.hostname", "instance", "pod", "agent_id",
)  # fmt: skip
MESSAGE = (
    "message", "msg", "MESSAGE", "short_message", "event", "text", "@m", "@mt", "Message", "log", "body", "Body",
    "fields.message", "error", "err",
)  # fmt: skip

_SCALES: Mapping[str, Scale] = {
    "levelno": Scale.PYTHON, "level_number": Scale.PYTHON, "level_value": Scale.LOGBACK, "PRIORITY": Scale.SYSLOG,
    "priority": Scale.SYSLOG, "severityNumber": Scale.OTEL, "severity_number": Scale.OTEL,
}  # fmt: skip
_GELF = ("short_message", "facility", "SYSLOG_IDENTIFIER")
_LATE = when_used(r"(?:timestamp|time|_at)\Z", re.IGNORECASE)


@lru_cache(maxsize=64)
def level_paths(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The paths of a level that objects with these keys may have."""
    return tuple(path for path in LEVEL if path in keys or path.partition(".")[0] in keys)


def value_at(record: Mapping[str, Any], path: str) -> Any:
    """The value under a key, or under the keys of a dotted path, nested; None where there is none."""
    value = record.get(path)
    if value is not None or "." not in path:
        return value
    inner: Any = record
    for key in path.split("."):
        if not isinstance(inner, dict):
            return None
        inner = inner.get(key)
    return inner


def first_text(record: Mapping[str, Any], paths: Iterable[str]) -> str:
    """The first of these values that is text, empty when none is. A journal's bytes become text; of an object,
    its ``name`` or ``message``."""
    for path in paths:
        value = value_at(record, path)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict):
            inner = value.get("name") or value.get("message")
            if isinstance(inner, str) and inner:
                return inner
        if isinstance(value, list) and value and all(isinstance(one, int) and 0 <= one < 256 for one in value):
            return text_of(bytes(value))
    return ""


def scale_for(record: Mapping[str, Any], path: str) -> Scale | None:
    """The scale of a numeric level under a key, None where its size must tell."""
    scale = _SCALES.get(path)
    if scale is None and any(key in record for key in _GELF):
        return Scale.SYSLOG
    return scale


def other_times(record: Mapping[str, Any]) -> list[str]:
    """Keys that look like a time though no library's are among them; those that say ``start`` last, for a record is
    written at the end."""
    keys = [key for key in record if len(key) < 64 and _LATE.search(key)]
    return sorted(keys, key=lambda key: "start" in key.lower())


def library(record: Mapping[str, Any]) -> str:
    """The library that most likely wrote a record, empty when it could be any."""
    if "ecs.version" in record or isinstance(record.get("ecs"), dict):
        return "ECS"
    if "__REALTIME_TIMESTAMP" in record:
        return "journal"
    if isinstance(record.get("level"), int) and "pid" in record and "hostname" in record:
        return "bunyan" if "v" in record and "name" in record else "pino"
    if "short_message" in record:
        return "GELF"
    if isinstance(record.get("ts"), float):
        return "zap"
    if "instant" in record or "loggerName" in record:
        return "log4j2"
    return ""
