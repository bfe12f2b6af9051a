"""A lab in the foreground of a terminal: for the length of a command, or until somebody ends it."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from typing import TYPE_CHECKING, Any

from meshdiag.errors import UsageError
from meshdiag.lab import LabOptions, running, simulate
from meshdiag.lab.network.links import OBSERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from meshdiag.lab import Lab
    from meshdiag.lab.faults import Expectation, Injected
    from meshdiag.lab.network.machines import Network

SERVER_VARIABLES = ("PROMETHEUS_URL", "ALERTMANAGER_URL")
"""What scripts with curl, promtool and amtool go by; in a lab they never name a server outside it."""
NEEDS = {
    "prometheus": "with Prometheus",
    "history": "with Prometheus",
    "prometheus and alertmanager": "with Prometheus and Alertmanager",
    "grafana": "with Prometheus and Grafana",
    "logs": "from the logs",
    "wire": "on the peer port",
    "netns": "with --netns",
    "views": "with --netns and blackbox-exporter",
}
"""What an expectation needs, in words."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ending:
    """Waits for a signal that asks the lab to end. ``deaf_to_interrupt`` lets Ctrl-C pass: it is meant for the
    command that runs in the lab, which has received it as well."""

    def __init__(self) -> None:
        self.deaf_to_interrupt = False
        self._asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> _Ending:
        for one in ENDING:
            asyncio.get_running_loop().add_signal_handler(one, self._heard, one)
        return self

    def __exit__(self, *_error: object) -> None:
        for one in ENDING:
            asyncio.get_running_loop().remove_signal_handler(one)

    def _heard(self, number: signal.Signals) -> None:
        if not self._asked.done() and not (number is signal.SIGINT and self.deaf_to_interrupt):
            self._asked.set_result(int(number))

    async def before(self, work: Coroutine[Any, Any, int]) -> int:
        """The exit code of ``work``, or 128 and the signal's number when that came first; ``work`` is then
        cancelled and has cleaned up."""
        task = asyncio.create_task(work)
        await asyncio.wait({task, self._asked}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return 128 + self._asked.result()
        return task.result()


async def run_command(options: LabOptions, argv: Sequence[str]) -> int:
    """Run a command against a lab; its exit code, or 128 and the number of the signal that ended it or the lab.

    Raises ``UsageError`` when the command cannot be started.
    """
    _prepare(options)
    with _Ending() as ending:
        return await ending.before(_run_in_lab(options, argv, ending))


def _prepare(options: LabOptions) -> None:
    if options.netns:
        from meshdiag.lab.network.machines import prepare

        prepare()


async def _run_in_lab(options: LabOptions, argv: Sequence[str], ending: _Ending) -> int:
    async with running(options) as lab:
        ending.deaf_to_interrupt = True
        try:
            process = await lab.guard.spawn(argv, env=pointed_at(lab, os.environ), place=lab.place)
        except OSError as error:
            raise UsageError(f"{argv[0]!r} could not be started: {(error.strerror or str(error)).lower()}") from error
        code = await process.wait()
        return code if code >= 0 else 128 - code


def pointed_at(lab: Lab, environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that points at the lab, and at nothing else: an address that somebody exported for their own
    mesh would win over the lab's configuration."""
    return {name: value for name, value in environ.items() if name not in _steering(environ)} | lab.environment


def _steering(environ: Mapping[str, str]) -> list[str]:
    """The variables that say which mesh is meant."""
    ours = (name for name in environ if name.startswith("MESHDIAG_") and name != "MESHDIAG_DEBUG")
    return sorted([*ours, *(name for name in SERVER_VARIABLES if name in environ)])


async def keep_up(options: LabOptions, say: Callable[[str], None]) -> int:
    """Keep a lab up until SIGINT, SIGTERM or SIGHUP; ``say`` prints a line for the person."""
    _prepare(options)
    with _Ending() as ending:
        return await ending.before(_stay(options, say))


async def _stay(options: LabOptions, say: Callable[[str], None]) -> int:
    async with running(options) as lab:
        for line in describe_lab(lab):
            say(line)
        await asyncio.get_running_loop().create_future()
    return 0


def describe_lab(lab: Lab) -> Iterator[str]:
    """Where everything is, who is ill, and the lines that point a shell at it."""
    shown = lab.nodes[:20]
    width = max(len(node.name) for node in shown)
    for node in shown:
        yield f"{node.name:<{width}}  {node.url}  peer {node.peer}{'' if node.up else '  (down)'}"
    if len(shown) < len(lab.nodes):
        yield f"… and {len(lab.nodes) - len(shown)} more nodes, all in {lab.config_file}"
    yield ""
    for name, url in (
        ("Prometheus", lab.prometheus_url),
        ("Alertmanager", lab.alertmanager_url),
        ("node_exporter", lab.node_exporter_url),
        ("Grafana", lab.grafana_url),
    ):
        if url:
            yield f"{name:<13}  {url}"
    if blackbox := {node.blackbox for node in shown if node.blackbox}:
        yield f"{'blackbox':<13}  {min(blackbox)}{' and so on, one beside each node' if len(blackbox) > 1 else ''}"
    yield f"{'logs':<13}  {lab.directory}"
    for one in lab.injected:
        yield f"{'fault':<13}  {one.fault.name} on {_some(one.nodes)}"
    yield ""
    if lab.network:
        yield from _ways_in(lab.network, shown[0].name)
    for name in _steering(os.environ):
        if name not in lab.environment:
            yield f"unset {name}"
    for name, value in lab.environment.items():
        yield f"export {name}={shlex.quote(value)}"
    yield ""
    yield "Ctrl-C ends it."


def _ways_in(network: Network, node: str) -> Iterator[str]:
    """How a shell gets into a network that this machine has no route to."""
    yield "# All of this is in a network of the lab's own. A shell in it:"
    yield shlex.join(network.entering(OBSERVER))
    yield f"# on {node}: {shlex.join(network.entering(node))}"
    yield ""


def describe_faults(nodes: int, seed: int) -> Iterator[str]:
    """Every fault: its name, what it does, and what meshdiag should say in a mesh of so many nodes."""
    import time

    from meshdiag.lab.faults import FAULTS

    for name in FAULTS:
        _mesh, injected = simulate(LabOptions(nodes=nodes, faults=(name,), seed=seed), time.time())
        yield f"{name}: {FAULTS[name].description}"
        for line in _expected(injected[0]):
            yield f"    {line}"


def _expected(injected: Injected) -> Iterator[str]:
    for one in injected.expects:
        where = f" on {_some(one.nodes)}" if one.nodes else ""
        yield f"{one.verdict.upper():<8}{one.check}{where}{_condition(one)}"


def _condition(one: Expectation) -> str:
    needs = NEEDS.get(one.needs)
    words = [word for word in (needs, None if one.certain else "perhaps") if word]
    return f" ({', '.join(words)})" if words else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
