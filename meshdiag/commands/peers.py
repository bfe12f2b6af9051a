"""``meshdiag peers``: how far each peer is, and whether it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meshdiag.commands._options import DATA_FORMATS, shared_flags
from meshdiag.commands._params import COUNT, INTERVAL, METHODS
from meshdiag.commands._peers_links import DRAWN, link_flags, look_at_links, refuse_link_flags

if TYPE_CHECKING:
    from datetime import timedelta

    from meshdiag.commands._invocation import Invocation
    from meshdiag.commands._options import Flags
    from meshdiag.commands._peers_links import LinkFlags

SECTION = "Look at the mesh"


@click.command("peers", short_help="Is it the network: loss, latency and jitter of every peer, and which ports answer.")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--targets",
    "files",
    multiple=True,
    metavar="FILE",
    help="Probe the targets in this file: one a line (target, name, role), or JSON as Prometheus' file_sd takes it; "
    "- is stdin.",
)
@click.option(
    "--method",
    "methods",
    type=METHODS,
    multiple=True,
    metavar="LIST",
    help="How to probe: icmp, tcp, tls, http (several: the first that answers), or auto, which is ICMP echo and, "
    "where that is silent, a TCP connect, then HTTP. [default: auto]",
)
@click.option("--count", type=COUNT, default=10, show_default=True, metavar="N", help="Probes of each peer.")
@click.option(
    "--interval", type=INTERVAL, default="0.2s", show_default=True, metavar="DURATION", help="Between two of them."
)
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C, which prints what was seen in all.")
@link_flags
@shared_flags(formats=(*DATA_FORMATS, *DRAWN))
@click.pass_obj
def command(
    invocation: Invocation,
    flags: Flags,
    targets: tuple[str, ...],
    files: tuple[str, ...],
    methods: tuple[tuple[str, ...], ...],
    count: int,
    interval: timedelta,
    watch: bool,
    links: LinkFlags,
) -> int:
    """How far is each peer from here, and does it answer: loss, latency, jitter, and by which method.

    Without TARGET the peers of the mesh are probed: those that Prometheus scrapes and those of the configuration. A
    TARGET is HOST, HOST:PORT, an http(s) URL, or the name of a node (or a glob of names). Where a host answers
    ICMP its peer port is tried as well.

    From here only this end of each link is seen: --matrix lets every node look at every other.

    Never more than 5,000 probes (echo requests, connects) begin in a second, however many peers there are.

    \b
    Examples:
      meshdiag peers
      meshdiag peers 10.0.0.5:4001 trainer-3 https://grafana.example/
      meshdiag peers --method tls --count 20 --interval 0.5s
      meshdiag peers --watch
      meshdiag peers -o csv > peers.csv
      meshdiag peers --matrix               # what each node sees of the others
      meshdiag peers --matrix --from trainer-3 --to 'trainer-*' --module icmp
      meshdiag peers --graph --matrix -o html > mesh.html
    """
    refuse_link_flags(flags, links, targets=bool(targets or files))
    if links.matrix or links.graph:
        return look_at_links(invocation, flags, links)
    from meshdiag.commands._peers_run import Asked, look_at_peers

    return look_at_peers(invocation, flags, Asked(targets, files, methods, count, interval, watch))
