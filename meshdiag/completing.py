"""What completes as a person types: contexts, check ids, metric names, labels and their values.

A shell waits for these on every press of Tab. They never fail, never print, and ask a server only for
``ANSWER_S``; what it does not say by then comes from the catalog alone. Credentials that are kept by a command
are not fetched: a password manager must not open because of a Tab.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from pathlib import Path

    from click import Context as ClickContext
    from click import Parameter
    from click.shell_completion import CompletionItem

    from meshdiag.config import Loaded
    from meshdiag.context import Endpoint
    from meshdiag.sources.prometheus import Prometheus

ANSWER_S = 0.3
"""Seconds that a server has for its answer, look-up and connection included."""

MOST = 200
"""Words that are offered at most; a shell with more is slow and helps nobody."""

_PLAIN = re.compile(r"[A-Za-z0-9_:.,=/@%+*-]+")
"""What a word may hold. The shell puts it on the command line as it is: a name that a server or a file chose must
not become a command there."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def complete_contexts(ctx: ClickContext, param: Parameter, incomplete: str) -> list[CompletionItem]:
    """The contexts of the configuration."""
    return _offer(incomplete, lambda: _load(ctx).context_names)


def complete_checks(ctx: ClickContext, param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Check ids, and a glob for each subject (``consensus.*``)."""

    def words() -> Iterator[str | tuple[str, str]]:
        from meshdiag.checks import all_checks

        known = all_checks()
        yield from ((id_, one.title) for id_, one in known.items())
        yield from dict.fromkeys(f"{one.subject}.*" for one in known.values())

    return _offer(incomplete, words)


def complete_runbooks(ctx: ClickContext, param: Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of runbooks, and the alerts that they answer."""

    def words() -> Iterator[str | tuple[str, str]]:
        from meshdiag.runbook import library

        for page in map(library.read, library.names()):
            yield from ((word, page.title) for word in (page.name, *page.alerts))

    return _offer(incomplete, words)


def complete_metric_names(ctx: ClickContext, param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Metric names: the catalog's and the server's."""

    def words() -> Iterator[str | tuple[str, str]]:
        from meshdiag.catalog import METRICS

        known = {metric.name: metric.help for metric in METRICS}
        yield from known.items()
        yield from (name for name in _label_values(ctx, "__name__") if name not in known)

    return _offer(incomplete, words)


def complete_labels(ctx: ClickContext, param: Parameter, incomplete: str) -> list[CompletionItem]:
    """``label=value``: the labels until there is an equals sign, then the values of that label."""

    def words() -> Iterator[str]:
        label, equals, _ = incomplete.partition("=")
        if equals:
            yield from (f"{label}={value}" for value in _label_values(ctx, label))
        else:
            yield from (f"{name}=" for name in _label_names(ctx))

    return _offer(incomplete, words)


def _offer(incomplete: str, words: Callable[[], Iterable[str | tuple[str, str]]]) -> list[CompletionItem]:
    """The words that begin as the user did. Whatever goes wrong, the answer is what there is, quietly."""
    from click.shell_completion import CompletionItem

    found: list[CompletionItem] = []
    with contextlib.suppress(Exception), open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):  # noqa: PTH123
        for word in words():
            text, help_ = (word, None) if isinstance(word, str) else word
            if text.startswith(incomplete) and _PLAIN.fullmatch(text) and len(found) < MOST:
                found.append(CompletionItem(text, help=help_))
    return found


def _load(ctx: ClickContext) -> Loaded:
    """The configuration, from the flags as far as they are typed."""
    from meshdiag.config import load

    context: str | None = None
    config_file: Path | None = None
    overrides: dict[str, str] = {}
    level: ClickContext | None = ctx
    while level is not None:
        context = context or level.params.get("context")
        config_file = config_file or level.params.get("config")
        if url := level.params.get("prometheus_url"):
            overrides.setdefault("prometheus", url)
        level = level.parent
    return load(config_file=config_file, context=context, overrides=overrides)


def _label_values(ctx: ClickContext, label: str) -> list[str]:
    if not _LABEL.fullmatch(label):
        return []
    return _ask(ctx, lambda prometheus: prometheus.label_values(label))


def _label_names(ctx: ClickContext) -> list[str]:
    return _ask(ctx, lambda prometheus: prometheus.labels())


def _ask(ctx: ClickContext, question: Callable[[Prometheus], Coroutine[Any, Any, Sequence[str]]]) -> list[str]:
    """Words from Prometheus; none when it has not answered in time, whatever the reason."""
    endpoint = _load(ctx).context.prometheus
    if endpoint is None or _kept_by_command(endpoint):
        return []
    import asyncio

    # The clock starts after the imports, which are meshdiag's own time and not the server's.
    from meshdiag.sources.prometheus import Prometheus

    deadline = time.monotonic() + ANSWER_S
    if not _has_address(endpoint.url, deadline):
        return []
    loop = asyncio.new_event_loop()
    prometheus = Prometheus(endpoint)
    try:
        left = max(0.0, deadline - time.monotonic())
        return list(loop.run_until_complete(asyncio.wait_for(question(prometheus), left)))
    finally:
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.wait_for(prometheus.aclose(), ANSWER_S))
        loop.close()


def _kept_by_command(endpoint: Endpoint) -> bool:
    return endpoint.credentials is not None and endpoint.credentials.secret.kind == "command"


def _has_address(url: str, deadline: float) -> bool:
    """Whether the host's name resolves in time. A name server that does not answer holds a thread that cannot be
    stopped: in one of our own, which the interpreter does not wait for when it ends."""
    import socket
    import threading
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    found: list[object] = []

    def look() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(parts.hostname, parts.port or parts.scheme))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    return bool(found)
