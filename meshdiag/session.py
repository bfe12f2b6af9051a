"""Opens the sources that a context names, and closes them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from meshdiag.sources import Sources
from meshdiag.sources.certificates.source import Certificates
from meshdiag.sources.host import Host
from meshdiag.sources.meshlog import MeshLog
from meshdiag.sources.probing import Prober
from meshdiag.sources.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

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
    ``also`` names sources that few commands ask (``traces``): they are opened for these alone.
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
            probe=Prober(),
            meshlog=MeshLog(context.logs, context.log_formats),
            left_out=_left_out(context, direct) | {one: why for one, why in ON_REQUEST.items() if one not in also},
        )
        if "traces" in also:
            sources = _with_traces(sources, context, stack)
        if "blackbox" in also:
            sources = _with_blackbox(sources, context, stack)
        if "certificates" in also:
            sources = replace(sources, certificates=Certificates(context.scrape.timeout_s))
        if "host" in also:
            sources = replace(sources, host=Host())
        if "grafana_login" in also:
            sources = _with_grafana_login(sources, context, stack)
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


def _with_traces(sources: Sources, context: Context, stack: AsyncExitStack) -> Sources:
    """The same sources with the store of traces: Tempo where the context has one, else Jaeger."""
    from meshdiag.sources.traces.jaeger import Jaeger
    from meshdiag.sources.traces.tempo import Tempo

    store = Tempo(context.tempo) if context.tempo else Jaeger(context.jaeger) if context.jaeger else None
    if store is None:
        reason = f"context {context.name} has neither Jaeger nor Tempo"
        return replace(sources, left_out={**sources.left_out, "traces": reason})
    stack.push_async_callback(store.aclose)
    return replace(sources, traces=store)


def _with_blackbox(sources: Sources, context: Context, stack: AsyncExitStack) -> Sources:
    """The same sources with the exporters beside the nodes."""
    from meshdiag.sources.blackbox import Blackbox

    if context.blackbox is None:
        reason = f"context {context.name} has no blackbox_exporters (blackbox = false)"
        return replace(sources, left_out={**sources.left_out, "blackbox": reason})
    blackbox = Blackbox(ca_file=context.blackbox.ca_file)
    stack.push_async_callback(blackbox.aclose)
    return replace(sources, blackbox=blackbox)


def _with_grafana_login(sources: Sources, context: Context, stack: AsyncExitStack) -> Sources:
    """The same sources with Grafana's door, to be knocked at once."""
    from meshdiag.sources.grafana import GrafanaLogin

    if context.grafana is None:
        reason = f"context {context.name} has no Grafana"
        return replace(sources, left_out={**sources.left_out, "grafana_login": reason})
    login = GrafanaLogin(context.grafana)
    stack.push_async_callback(login.aclose)
    return replace(sources, grafana_login=login)


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
        blackbox=context.blackbox and replace(context.blackbox, timeout_s=timeout_s),
    )
