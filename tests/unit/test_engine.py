"""The engine: side by side, under one deadline, folding what a failed source takes with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from meshdiag import checks as registry
from meshdiag import engine
from meshdiag.checks import Check, Outcome
from meshdiag.context import CheckSettings, Context
from meshdiag.engine import Answers, Run, View, run_checks
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Column, Finding, Result, Table, Threshold, Verdict, at_most
from meshdiag.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meshdiag.checks.inputs import Inputs

NOW = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)


@dataclass
class Source:
    """A metrics source that is asked nothing: the engine only looks at its name, gate and memory."""

    name: str
    gate: str | None = None
    history: bool = True
    warnings: tuple[str, ...] = ()


def make(id_: str, run: Callable[[Inputs], Awaitable[Outcome]], **more: Any) -> Check:
    settings = {"title": "It is fine", "needs": (), "runbook": "", "hint": "look"} | more
    return Check(id_, run=run, **settings)


def passing(id_: str, **more: Any) -> Check:
    async def run(inputs: Inputs) -> Outcome:
        return Outcome((Finding("mesh", Verdict.PASS, "fine"),))

    return make(id_, run, **more)


def gate(verdict: Verdict) -> Check:
    async def run(inputs: Inputs) -> Outcome:
        return Outcome(verdict=verdict, summary="connection refused")

    return make("stack.gate", run)


async def look(checks: list[Check], monkeypatch: pytest.MonkeyPatch, **run: Any) -> Answers:
    """Run checks that are known to the registry for this test alone."""
    known = {one.id: one for one in checks}
    monkeypatch.setattr(engine, "find_check", known.get)
    monkeypatch.setattr(engine, "place_of", lambda id_: ("", list(known).index(id_) if id_ in known else 0))
    stop, view = run.pop("stop", None), run.pop("view", None)
    given = {"context": Context(), "sources": Sources(), "now": NOW, "window": timedelta(hours=1)} | run
    return await run_checks([one for one in checks if one.id != "stack.gate"], Run(**given), stop, view=view)


def by_id(answers: Answers) -> dict[str, Result]:
    return {result.id: result for result in answers.results}


async def test_a_check_that_raises_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in one check is one UNKNOWN; the others still answer."""

    async def broken(inputs: Inputs) -> Outcome:
        raise ZeroDivisionError("oops")

    results = by_id(await look([make("a.broken", broken), passing("a.fine")], monkeypatch))
    assert results["a.broken"].verdict is Verdict.UNKNOWN
    assert "ZeroDivisionError" in results["a.broken"].summary
    assert results["a.fine"].verdict is Verdict.PASS


async def test_a_source_that_cannot_be_asked_is_unknown_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong and what to try reach the result."""

    async def run(inputs: Inputs) -> Outcome:
        raise SourceError("Loki: connection refused", trouble=Trouble.REFUSED, hint="is it running?")

    (result,) = (await look([make("a.b", run)], monkeypatch)).results
    assert (result.verdict, result.summary, result.hint) == (
        Verdict.UNKNOWN,
        "Loki: connection refused",
        "is it running?",
    )


async def test_nothing_looked_at_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that found no subject at all has not shown that anything is well."""

    async def empty(inputs: Inputs) -> Outcome:
        return Outcome()

    (result,) = (await look([make("a.b", empty)], monkeypatch)).results
    assert result.verdict is Verdict.UNKNOWN


async def test_the_deadline_prints_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that hangs is listed as not reached, also when it ignores being cancelled."""
    released = asyncio.Event()

    async def stubborn(inputs: Inputs) -> Outcome:
        while not released.is_set():
            try:
                await asyncio.wait_for(released.wait(), 30)
            except asyncio.CancelledError:
                continue
        return Outcome()

    checks = [make("a.hangs", stubborn), passing("a.fine")]
    async with asyncio.timeout(10):
        results = by_id(await look(checks, monkeypatch, deadline_s=0.1))
    released.set()
    assert results["a.hangs"].verdict is Verdict.UNKNOWN
    assert "not reached within the deadline of 0.1 s" in results["a.hangs"].summary
    assert "--deadline" in results["a.hangs"].hint
    assert results["a.fine"].verdict is Verdict.PASS


async def test_stopping_ends_the_run_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C keeps the results that had come and names the rest."""
    stop = asyncio.Event()

    async def hangs(inputs: Inputs) -> Outcome:
        stop.set()
        await asyncio.sleep(60)
        return Outcome()

    async with asyncio.timeout(10):
        answers = await look([make("a.hangs", hangs), passing("a.fine")], monkeypatch, stop=stop)
    assert answers.interrupted
    assert by_id(answers)["a.hangs"].summary == "interrupted"
    assert by_id(answers)["a.fine"].verdict is Verdict.PASS
    assert [one.id for one in answers.reached] == ["a.fine"], "no cause is drawn from what was not looked at"


async def test_dependants_of_a_shut_gate_fold_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One failed source is one failure; what needs it says so once, by name, and is asked nothing."""
    sources = Sources(metrics=(Source("Prometheus", "stack.gate"),))  # type: ignore[arg-type]
    dependants = [passing("a.one", needs=("metrics",)), passing("a.two", needs=("metrics",)), passing("a.free")]
    answers = await look([gate(Verdict.FAIL), *dependants], monkeypatch, sources=sources)
    results = by_id(answers)
    assert answers.results[0].id == "stack.gate", "the gate comes first"
    assert results["a.one"].verdict is Verdict.UNKNOWN
    assert results["a.one"].because == results["a.two"].because == "stack.gate"
    assert results["a.free"].verdict is Verdict.PASS


async def test_the_next_source_answers_when_the_first_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prometheus down: the nodes answer, a note says so, and what needs history names the gate."""
    used: list[str] = []

    async def run(inputs: Inputs) -> Outcome:
        used.append(inputs.metrics.name)
        return Outcome((Finding("mesh", Verdict.PASS, "fine"),))

    first, second = Source("Prometheus", "stack.gate"), Source("node pages", history=False)
    sources = Sources(metrics=(first, second))  # type: ignore[arg-type]
    checks = [
        gate(Verdict.UNKNOWN),
        make("a.now", run, needs=("metrics",)),
        make("a.past", run, needs=("metrics",), history=True),
    ]
    answers = await look(checks, monkeypatch, sources=sources)
    assert used == ["node pages"]
    assert by_id(answers)["a.past"].because == "stack.gate"
    assert answers.notes == ("connection refused; asked instead: node pages",)


async def test_of_two_sources_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that can live with either source runs while one of them is vouched for, and folds when none is."""
    one = passing("a.either", needs=("prometheus|alertmanager",))
    shut, open_ = Source("Prometheus", "stack.gate"), Source("Alertmanager")
    answers = await look([gate(Verdict.FAIL), one], monkeypatch, sources=Sources(prometheus=shut, alertmanager=open_))  # type: ignore[arg-type]
    assert by_id(answers)["a.either"].verdict is Verdict.PASS
    answers = await look([gate(Verdict.FAIL), one], monkeypatch, sources=Sources(prometheus=shut, alertmanager=shut))  # type: ignore[arg-type]
    assert by_id(answers)["a.either"].because == "stack.gate"
    left_out = {"prometheus": "not asked", "alertmanager": "not asked"}
    answers = await look([one], monkeypatch, sources=Sources(left_out=left_out))
    assert by_id(answers)["a.either"].verdict is Verdict.SKIP


async def test_history_is_skipped_where_there_is_none_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """--direct was asked for: questions about the past are left out with a reason, not failed."""
    sources = Sources(metrics=(Source("node pages", history=False),))  # type: ignore[arg-type]
    answers = await look([passing("a.past", needs=("metrics",), history=True)], monkeypatch, sources=sources)
    (result,) = answers.results
    assert result.verdict is Verdict.SKIP
    assert "history" in result.summary


async def test_configuration_moves_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threshold in force is the configuration's over the check's own."""
    seen: list[Threshold] = []

    async def run(inputs: Inputs) -> Outcome:
        seen.append(inputs.threshold)
        return Outcome((Finding("mesh", Verdict.PASS, "fine"),))

    context = Context(checks={"a.b": CheckSettings(warn=15)})
    default = Threshold(warn=at_most(10), fail=at_most(30))
    await look([make("a.b", run, threshold=default)], monkeypatch, context=context)
    assert seen == [Threshold(warn=at_most(15), fail=at_most(30))]


async def test_a_view_that_cannot_be_made_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of a command is drawn beside its checks, and its failure does not hide them."""
    sources = Sources(metrics=(Source("Prometheus"),))  # type: ignore[arg-type]

    async def good(inputs: Inputs) -> Table:
        return Table((Column("a", "a"),), ({"a": inputs.metrics.name},))

    async def bad(inputs: Inputs) -> Table:
        raise SourceError("no nodes", trouble=Trouble.OTHER)

    answers = await look([passing("a.b")], monkeypatch, sources=sources, view=View(good))
    assert answers.table is not None
    assert answers.table.rows == ({"a": "Prometheus"},)
    answers = await look([passing("a.b")], monkeypatch, sources=sources, view=View(bad))
    assert (answers.table, answers.notes) == (None, ("no table: no nodes",))


def test_every_check_is_found_by_its_id_and_in_its_place() -> None:
    """Finding one by its id imports its module alone, and comes to the same as looking through all of them."""
    known = registry.all_checks()
    assert all(registry.find_check(id_) is one for id_, one in known.items())
    assert sorted(known, key=registry.place_of) == list(known)
    assert registry.find_check("nodes.no-such") is registry.find_check("no-such.check") is None
    assert registry.place_of("query") < registry.place_of(next(iter(known)))


@pytest.mark.parametrize("pattern", ["nodes.*", "n*s.up", "*.up", "nodes*", "*", "nodes.up", "[n]odes.up"])
def test_a_glob_fits_the_same_checks_whichever_modules_are_imported_for_it(pattern: str) -> None:
    """What ``select`` finds is what stands among all checks."""
    fits = [id_ for id_ in registry.all_checks() if fnmatchcase(id_, pattern)]
    assert [one.id for one in registry.select([pattern])] == fits != []


def test_only_and_skip_take_ids_and_globs_and_refuse_what_is_no_check() -> None:
    """A mistyped --only must not look like a healthy mesh."""
    known = list(registry.all_checks())
    if not known:
        pytest.skip("no checks are installed yet")
    one = known[0]
    assert [check.id for check in registry.select(["*"], only=[one])] == [one]
    assert one not in [check.id for check in registry.select(["*"], skip=[one])]
    with pytest.raises(Exception, match="no check is called"):
        registry.select(["*"], only=["no.such-check"])


async def test_what_a_source_warned_of_is_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial response stands in the notes once, with its source; too many warnings are counted."""
    half = Source("Thanos http://t", warnings=("no store matched",))
    many = Source("Mimir http://m", warnings=tuple(f"warning {place}" for place in range(30)))
    answers = await look([passing("a.fine")], monkeypatch, sources=Sources(metrics=(half, many)))
    assert answers.notes[0] == "Thanos http://t: no store matched"
    assert len(answers.notes) == engine.MAX_WARNINGS + 1
    assert answers.notes[-1] == "and 21 more warnings beside the answers"
