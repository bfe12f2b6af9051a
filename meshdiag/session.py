"""Opens the sources that a context names, and closes them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from meshdiag.sources import Sources
from meshdiag.sources.closing import Closing
from meshdiag.sources.meshlog import MeshLog
from meshdiag.sources.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from meshdiag.context import Context, Endpoint


ON_REQUEST = {"grafana_login": "not tried: 'meshdiag security --try-default-password' tries it once"}
"""Sources that are opened only where the user asked for them in as many words, and what is said without."""


class Direct(StrEnum):
    """Whether metrics come from the nodes' own pages: when Prometheus fails, always, or never."""

    FALLBACK = "fallback"
    ALWAYS = "always"
    NEVER = "never"


@asynccontextmanager
async def open_sources(
    context: Context, direct: Direct = Direct.FALLBACK, *, gap_s: float = 2.0, also: Collection[str] = ()
) -> AsyncIterator[Sources]:
    """The sources of a context, closed at the end. Nothing is asked before the first question.

    ``gap_s`` lies between the two looks at a node's page that rates come from; 0 is for one look and no rates.
    ``also`` names sources that few commands ask, of ``OPTIONAL``: they are opened for these alone.
    """
    async with AsyncExitStack() as stack:
        scrape = Scrape(
            context.nodes,
            context.scrape,
            job=context.job,
            node_label=context.node_label,
            role_label=context.role_label,
            peer_label=context.peer_label,
            gap_s=gap_s,
            single_look=gap_s == 0,
            expected=context.nodes_expected,
        )
        sources = Sources(
            metrics=(scrape,),
            scrape=scrape,
            meshlog=MeshLog(context.logs, context.log_formats),
            left_out=_left_out(context, direct) | {one: why for one, why in ON_REQUEST.items() if one not in also},
        )
        for name in sorted(OPTIONAL.keys() & also):
            sources = _with(sources, name, context, stack)
        if direct is Direct.ALWAYS:
            yield sources
            return
        yield await _with_stack(sources, context, direct, stack)


async def _with_stack(sources: Sources, context: Context, direct: Direct, stack: AsyncExitStack) -> Sources:
    """The same sources with Prometheus and Alertmanager, where the context has them."""
    # Only here, because --direct needs neither: their imports are a tenth of a second.
    from meshdiag.sources.alertmanager import Alertmanager
    from meshdiag.sources.prometheus import Prometheus

    if context.prometheus is not None:
        prometheus = Prometheus(context.prometheus)
        stack.push_async_callback(prometheus.aclose)
        nodes = sources.metrics if direct is Direct.FALLBACK and context.nodes else ()
        sources = replace(sources, prometheus=prometheus, metrics=(prometheus, *nodes))
    elif direct is Direct.NEVER:
        sources = replace(sources, metrics=())
    if context.alertmanager is not None:
        alertmanager = Alertmanager(context.alertmanager)
        stack.push_async_callback(alertmanager.aclose)
        sources = replace(sources, alertmanager=alertmanager)
    return sources


def _with(sources: Sources, name: str, context: Context, stack: AsyncExitStack) -> Sources:
    """The same sources with an optional one, or with the reason why there is none."""
    source = OPTIONAL[name](context)
    if isinstance(source, str):
        return replace(sources, left_out={**sources.left_out, name: source})
    if isinstance(source, Closing):
        stack.push_async_callback(source.aclose)
    opened: dict[str, Any] = {name: source}
    return replace(sources, **opened)


# Each opener imports what it opens: what a command does not ask, it does not pay for.


def _probe(_context: Context) -> object:
    from meshdiag.sources.probing import Prober

    return Prober()


def _traces(context: Context) -> object:
    from meshdiag.sources.traces.jaeger import Jaeger
    from meshdiag.sources.traces.tempo import Tempo

    if context.tempo is not None:
        return Tempo(context.tempo)
    return f"context {context.name} has neither Jaeger nor Tempo" if context.jaeger is None else Jaeger(context.jaeger)


def _blackbox(context: Context) -> object:
    from meshdiag.sources.blackbox import Blackbox

    if context.blackbox is None:
        return f"context {context.name} has no blackbox_exporters (blackbox = false)"
    return Blackbox(ca_file=context.blackbox.ca_file)


def _certificates(context: Context) -> object:
    from meshdiag.sources.certificates.source import Certificates

    return Certificates(context.scrape.timeout_s)


def _host(_context: Context) -> object:
    from meshdiag.sources.host import Host

    return Host()


def _loki(context: Context) -> object:
    from meshdiag.errors import ConfigError
    from meshdiag.sources.loki import Loki

    if context.loki is None:
        return f"context {context.name} has no Loki"
    try:
        return Loki(context.loki, context.streams, node_label=context.node_label)
    except ConfigError as error:
        return error.message


def _containers(_context: Context) -> object:
    from meshdiag.errors import UsageError
    from meshdiag.sources.docker.address import engine_address
    from meshdiag.sources.docker.watching import Containers

    try:
        return Containers(engine_address())
    except UsageError as error:
        return error.message


def _grafana(context: Context) -> object:
    from meshdiag.sources.grafana.client import Grafana

    return f"context {context.name} has no Grafana" if context.grafana is None else Grafana(context.grafana)


def _grafana_login(context: Context) -> object:
    from meshdiag.sources.grafana.login import GrafanaLogin

    return f"context {context.name} has no Grafana" if context.grafana is None else GrafanaLogin(context.grafana)


OPTIONAL: Mapping[str, Callable[[Context], object]] = {
    "probe": _probe,
    "traces": _traces,
    "blackbox": _blackbox,
    "certificates": _certificates,
    "host": _host,
    "containers": _containers,
    "loki": _loki,
    "grafana": _grafana,
    "grafana_login": _grafana_login,
}
"""How each source that few commands ask is opened: the source, or why there is none, in words."""


def _left_out(context: Context, direct: Direct) -> dict[str, str]:
    """Why a source is not asked, for those that are not."""
    reasons = {}
    endpoints: dict[str, Endpoint | None] = {
        "prometheus": context.prometheus,
        "alertmanager": context.alertmanager,
    }
    for name, endpoint in endpoints.items():
        if direct is Direct.ALWAYS:
            reasons[name] = f"not asked: --direct reads the nodes alone, without {name.capitalize()}"
        elif endpoint is None:
            reasons[name] = f"context {context.name} has no {name.capitalize()}"
    if direct is Direct.NEVER:
        reasons["scrape"] = "not looked at: --no-direct leaves the nodes' pages alone"
    return reasons


def with_timeout(context: Context, timeout_s: float | None) -> Context:
    """The context with another limit on each request."""
    if timeout_s is None:
        return context

    def limited(endpoint: Endpoint | None) -> Endpoint | None:
        return endpoint and replace(endpoint, timeout_s=timeout_s)

    return replace(
        context,
        prometheus=limited(context.prometheus),
        alertmanager=limited(context.alertmanager),
        scrape=replace(context.scrape, timeout_s=timeout_s),
        grafana=limited(context.grafana),
        loki=limited(context.loki),
        jaeger=limited(context.jaeger),
        tempo=limited(context.tempo),
        blackbox=context.blackbox and replace(context.blackbox, timeout_s=timeout_s),
    )
