"""``meshdiag demo``: a small simulated mesh with a fault, and what meshdiag says of it."""

from __future__ import annotations

import os

import click

SECTION = "Try it without a mesh"


@click.command("demo", short_help="A simulated mesh with a fault, and what meshdiag says of it.")
@click.option(
    "--fault", default="slow-consensus", show_default=True, help="The fault to show; 'meshdiag lab faults' lists them."
)
@click.option("--nodes", default=7, show_default=True, type=click.IntRange(4, 50), help="How many nodes the mesh has.")
def command(fault: str, nodes: int) -> int:
    """Show what a user would see: a simulated mesh with a fault, 'health' and 'consensus --slow' run against it.

    Needs no server, no root and no configuration; everything runs in this process, on loopback, and is gone
    afterwards. Exits 0 when the demonstration ran, whatever the mesh's verdict.

    \b
    Examples:
      meshdiag demo
      meshdiag demo --fault byzantine
    """
    from meshdiag.commands import consensus, health
    from meshdiag.commands._invocation import Invocation
    from meshdiag.lab import CONTEXT, LabOptions
    from meshdiag.lab.background import lab_in_background
    from meshdiag.model import ExitCode

    # An address that somebody exported for a mesh of their own would win over the lab's configuration.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MESHDIAG_")}
    scenes: tuple[tuple[str, click.Command, list[str]], ...] = (
        ("health", health.command, []),
        ("consensus --slow", consensus.command, ["--slow"]),
    )
    click.echo(f"A simulated mesh of {nodes} nodes; the fault {fault!r} is switched on.")
    with lab_in_background(LabOptions(nodes=nodes, faults=(fault,))) as lab:
        for title, scene, arguments in scenes:
            click.echo(f"\n$ meshdiag {title}\n")
            mesh = Invocation(context=CONTEXT, config_file=lab.config_file, environ=own)
            code = scene.main([*arguments, "--direct"], f"meshdiag {title}", standalone_mode=False, obj=mesh)
            click.echo(f"\n(exit code {int(code)}: {ExitCode(code).name.lower()})")
            if code == ExitCode.INTERRUPTED:
                return ExitCode.INTERRUPTED
    click.echo(f"\nNext: 'meshdiag lab run --fault {fault} -- bash' gives you a shell beside such a mesh;")
    click.echo("'meshdiag lab faults' lists what else can be broken;")
    click.echo("'meshdiag config init' writes a configuration to point at a mesh of your own.")
    return ExitCode.PASS
