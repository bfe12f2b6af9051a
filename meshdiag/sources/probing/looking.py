"""One target: which methods are tried, in which order, and what is made of their answers."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.sources.probing.answers import Answer, Method, Probed, ProbeTrouble
from meshdiag.sources.probing.http import read_url
from meshdiag.sources.probing.icmp import Pinger
from meshdiag.sources.probing.routes import routed
from meshdiag.sources.probing.series import Knock, Series, Tally
from meshdiag.sources.probing.troubles import ProbeFailed, of_error
from meshdiag.sources.resolving import Resolver, join_address, split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.sources.probing.answers import Plan, Target
    from meshdiag.sources.probing.http import Asked
    from meshdiag.sources.probing.icmp.pinger import Line
    from meshdiag.sources.probing.pace import Pace
    from meshdiag.sources.resolving import Place

URL_METHODS = (Method.HTTP, Method.TCP, Method.ICMP)
"""For a target that is a URL: what was meant first, then whether the port and the host are there at all."""
LOOKUP_S = 2.0
"""How long a name may be looked up, however short the probes' own timeout."""
_SAYS_LITTLE = (ProbeTrouble.TIMEOUT, ProbeTrouble.NOT_ALLOWED, ProbeTrouble.NO_PORT)


def host_and_port(address: str) -> tuple[str, int]:
    """Host and port of an address; the port is 0 where it names none. Raises ``ValueError`` with one sentence."""
    text = address.strip()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    host, port = split_address(text) if ":" in bare and not _is_number(bare) else (bare, 0)
    if not host or not host.isprintable() or any(sign in host for sign in " /@"):
        raise ValueError(f"{address!r} is no host")
    return host, port


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Round:
    """One call of ``Prober.probe``: its pace, its sockets, the names it has looked up."""

    def __init__(self, plan: Plan, pace: Pace, connections: int) -> None:
        self.plan = plan
        self.resolver = Resolver()
        self.pinger = Pinger(plan, pace)
        self.series = Series(plan, pace, connections)
        self.so_far: dict[Target, Callable[[], Answer]] = {}
        """Of each target that is being probed, what the method that is at it has brought so far."""
        self.ports: dict[Target, Answer] = {}
        self.done: dict[Target, Probed] = {}

    async def aclose(self) -> None:
        """Close the sockets."""
        await self.pinger.aclose()

    async def probe(self, target: Target, on_answer: Callable[[Probed], None] | None) -> Probed:
        """All about one target. Never raises for it."""
        try:
            probed = await (await self._look(target)).probe()
        except (OSError, ValueError, ProbeFailed) as error:
            trouble = ProbeTrouble.BAD_ADDRESS if isinstance(error, _BadAddress) else of_error(error)
            probed = Probed(target, trouble=trouble)
        self.done[target] = probed
        if on_answer is not None:
            on_answer(probed)
        return probed

    def snapshot(self, targets: Sequence[Target]) -> tuple[Probed, ...]:
        """What is known so far, of those targets of which anything is."""
        known = (self.done.get(target) or self._unfinished(target) for target in targets)
        return tuple(probed for probed in known if probed is not None)

    def _unfinished(self, target: Target) -> Probed | None:
        one = self.so_far[target]() if target in self.so_far else None
        if one is None or not one.sent:
            return None
        method = one.method if one.times_s else None
        port = self.ports.get(target)
        return Probed(target, method, one.ip, one.sent, one.times_s, one.trouble, (), one.stages_s, one.said_by, port)

    async def _look(self, target: Target) -> Look:
        """A target with its name looked up. Raises ``OSError``, ``ValueError`` or ``ProbeFailed``."""
        try:
            host, port = host_and_port(target.address)
            asked = read_url(target.url) if target.url else None
        except ValueError as error:
            raise _BadAddress(str(error)) from None
        began = time.perf_counter()
        try:
            places = await self.resolver.resolve(host, port, max(self.plan.timeout_s, LOOKUP_S))
        except TimeoutError:
            raise ProbeFailed(ProbeTrouble.NO_RESOLVER) from None
        named = 0.0 if _is_number(host) else time.perf_counter() - began
        return Look(self, target, host, port, places, asked, named)


class _BadAddress(ValueError):
    """An address that cannot be read."""


@dataclass(frozen=True, slots=True)
class Look:
    """A target whose name is looked up. ``port`` is 0 where it names none; ``named_s`` is what the look-up took."""

    round: Round
    target: Target
    host: str
    port: int
    places: Sequence[Place]
    asked: Asked | None
    named_s: float

    async def probe(self) -> Probed:
        """By the plan's methods, or by what fits."""
        if self.round.plan.methods:
            return await self._first_of(self.round.plan.methods)
        if self.asked is not None and self._same_port(self.asked):
            return await self._first_of(URL_METHODS)
        return await self._best()

    def _same_port(self, asked: Asked) -> bool:
        return (asked.host, asked.port) == (self.host.lower(), self.port)

    async def _first_of(self, methods: Sequence[Method]) -> Probed:
        """The answer of the first method that brings one."""
        failed: list[Answer] = []
        for place, method in enumerate(methods):
            answer = await self._by(method, failed, last=place == len(methods) - 1)
            if answer.times_s:
                return self._probed(answer, failed)
            failed.append(answer)
        return self._nothing(failed)

    async def _by(self, method: Method, failed: Sequence[Answer], *, last: bool) -> Answer:
        if method is Method.ICMP:
            line = self._ping()
            if last or await asyncio.shield(line.spoke):
                await asyncio.shield(line.done)
            return line.answer
        knock = await self._knock(method)
        if isinstance(knock, ProbeTrouble):
            return Answer(method, trouble=knock)
        for earlier in failed:  # the same port would not accept now what it did not a moment ago
            if earlier.method is Method.TCP and knock.places[0] in self.places:
                return Answer(method, earlier.ip, earlier.sent, trouble=earlier.trouble, said_by=earlier.said_by)
        return await self._series(knock)

    def _ping(self) -> Line:
        line = self.round.pinger.ping(routed(self.places))
        self.round.so_far[self.target] = lambda: line.answer
        return line

    async def _series(self, knock: Knock) -> Answer:
        tally = Tally(knock)
        self.round.so_far[self.target] = lambda: tally.answer
        return await self.round.series.all(tally)

    async def _knock(self, method: Method) -> Knock | ProbeTrouble:
        """What to connect to; or why there is nothing."""
        if method is not Method.HTTP:
            return Knock(method, self.places, self.host) if self.port else ProbeTrouble.NO_PORT
        asked = self.asked or read_url(f"http://{join_address(self.host, self.port or 80)}/")
        if self._same_port(asked):
            return Knock(method, self.places, asked.host, asked)
        try:
            places = await self.round.resolver.resolve(asked.host, asked.port, self.round.plan.timeout_s)
        except (OSError, ValueError) as error:
            return of_error(error)
        return Knock(method, places, asked.host, asked)

    async def _best(self) -> Probed:
        """By ICMP, and the port by a TCP connect beside it; where the host is silent, by what answers else."""
        port = asyncio.ensure_future(self._port())
        try:
            line = self._ping()
            other = None if await asyncio.shield(line.spoke) else await self._other(port)
            if other is None or line.times:
                await asyncio.shield(line.done)
            if line.times:
                return self._probed(line.answer, (), await port)
            failed = [line.answer, *(other or ())]
            if other and other[-1].times_s:
                return self._probed(failed.pop(), failed)
            await asyncio.shield(line.done)  # it may be that nearly all is lost
            return (
                self._probed(line.answer, (), await port) if line.times else self._nothing([line.answer, *failed[1:]])
            )
        finally:
            port.cancel()

    async def _port(self) -> Answer | None:
        if not self.port:
            return None
        answer = await self.round.series.once(Knock(Method.TCP, self.places, self.host))
        self.round.ports[self.target] = answer
        return answer

    async def _other(self, port: asyncio.Future[Answer | None]) -> list[Answer]:
        """Answers of the other methods, up to the first that brings one."""
        answers = []
        first = await port
        if first is not None:
            knock = Knock(Method.TCP, self.places, self.host)
            answers.append(await self._series(knock) if first.times_s else first)
        if self.asked is not None and not any(one.times_s for one in answers):
            answers.append(await self._by(Method.HTTP, answers, last=True))
        return answers

    def _probed(self, answer: Answer, failed: Sequence[Answer], port: Answer | None = None) -> Probed:
        stages = dict(answer.stages_s)
        if answer.method in (Method.TLS, Method.HTTP):
            stages = {"name": self.named_s, **stages}
        return Probed(
            self.target, answer.method, answer.ip, answer.sent, answer.times_s, answer.trouble,
            _tried(failed), stages if answer.method is not Method.TCP else {}, answer.said_by, port,
        )  # fmt: skip

    def _nothing(self, failed: Sequence[Answer]) -> Probed:
        """What is said of a target that no method reached: by the one that says most."""
        best = next((one for one in reversed(failed) if one.trouble not in _SAYS_LITTLE), failed[-1])
        return Probed(
            self.target, None, best.ip or failed[0].ip, max(one.sent for one in failed), (), best.trouble,
            _tried(failed), said_by=best.said_by,
        )  # fmt: skip


def _tried(failed: Sequence[Answer]) -> tuple[tuple[Method, str], ...]:
    return tuple((one.method, str(one.trouble or ProbeTrouble.TIMEOUT)) for one in failed)
