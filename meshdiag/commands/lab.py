"""``meshdiag lab``: a simulated mesh on this machine, with faults to switch on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meshdiag.commands._params import Duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from meshdiag.lab import LabOptions

SECTION = "Try it without a mesh"


@click.group(short_help="Run a simulated mesh with faults.")
def command() -> None:
    """A simulated Agent Mesh on this machine, with faults to switch on.

    \b
    meshdiag lab run --fault slow-consensus -- meshdiag health
    meshdiag lab up --nodes 20 --with prometheus,alertmanager
    """


def _complete_fault(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from meshdiag.lab.faults import FAULTS

    return [name for name in FAULTS if name.startswith(incomplete)]


def _complete_server(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from meshdiag.lab import SERVERS

    begun, comma, last = incomplete.rpartition(",")
    return [begun + comma + name for name in SERVERS if name.startswith(last) and name not in begun.split(",")]


def _lab_options(run: Callable[..., int]) -> Callable[..., int]:
    """The options that say what the lab should be."""
    for add in reversed(
        (
            click.option("--nodes", type=int, default=7, show_default=True, help="How many nodes, up to 2000."),
            click.option("--fault", "faults", multiple=True, metavar="NAME", shell_complete=_complete_fault,
                         help="A fault to switch on (repeatable); 'meshdiag lab faults' lists them."),
            click.option("--with", "servers", multiple=True, metavar="SERVER,…", shell_complete=_complete_server,
                         help="Servers to start: prometheus, alertmanager, node-exporter, blackbox-exporter, all real;"
                              " grafana, a small stand-in."),
            click.option("--history", type=Duration(), default="1h", show_default=True,
                         help="How much of the past Prometheus and the logs hold (logs: 30m to 6h)."),
            click.option("--netns", is_flag=True,
                         help="Give each node a network namespace and an address of its own, up to 99: slow links are"
                              " then slow for ping too."),
            click.option("--seed", type=int, default=1, show_default=True, help="Another number, another mesh."),
        )
    ):  # fmt: skip
        run = add(run)
    return run


def _options(
    nodes: int, faults: tuple[str, ...], servers: tuple[str, ...], history: timedelta, netns: bool, seed: int
) -> LabOptions:
    from meshdiag.lab import LabOptions

    names = tuple(name.strip() for given in servers for name in given.split(",") if name.strip())
    return LabOptions(nodes, faults, names, history.total_seconds(), seed, netns)


@command.command(context_settings={"allow_interspersed_args": False})
@_lab_options
@click.argument("argv", metavar="COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def run(argv: tuple[str, ...], **lab: Any) -> int:
    """Start a lab, run COMMAND against it, and return COMMAND's exit code.

    The environment points meshdiag at the lab. With the servers that run, PROMETHEUS_URL and ALERTMANAGER_URL hold
    their addresses for curl, promtool and amtool. Nothing is left behind when COMMAND ends, or when either is killed.

    With --netns COMMAND runs on a machine beside the nodes', which have the addresses 198.18.1.N (bootstrap nodes),
    198.18.2.N (trainers) and 198.18.3.N (aggregators); it reaches nothing else.

    \b
    meshdiag lab run --fault byzantine --with prometheus -- meshdiag health
    meshdiag lab run --fault slow-peer --netns -- meshdiag peers
    meshdiag lab run --with prometheus -- sh -c 'promtool query instant "$PROMETHEUS_URL" up'
    """
    import asyncio

    from meshdiag.lab.foreground import run_command

    return asyncio.run(run_command(_options(**lab), argv))


@command.command()
@_lab_options
def up(**lab: Any) -> int:
    """Keep a lab running in the foreground until Ctrl-C."""
    import asyncio

    from meshdiag.lab.foreground import keep_up

    return asyncio.run(keep_up(_options(**lab), click.echo))


@command.command()
@click.option("--nodes", type=int, default=7, show_default=True, help="For a mesh of so many nodes.")
@click.option("--seed", type=int, default=1, show_default=True, help="For the mesh of this seed.")
def faults(nodes: int, seed: int) -> None:
    """List the faults with what each should make meshdiag say."""
    from meshdiag.lab.foreground import describe_faults

    for line in describe_faults(nodes, seed):
        click.echo(line)
