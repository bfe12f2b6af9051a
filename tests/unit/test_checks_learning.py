"""Checks of learning: a learner that stands still, a model that got worse, a budget that runs out."""

from __future__ import annotations

from datetime import timedelta
from math import nan
from typing import TYPE_CHECKING

import pytest

from meshdiag.model import Verdict
from tests.unit.memory_metrics import Memory, ask, mesh

if TYPE_CHECKING:
    from meshdiag.checks import Outcome

TRAINERS = ("trainer-1:9091", "trainer-2:9091", "trainer-3:9091")
BEGAN = 3 * 3600


def verdicts(outcome: Outcome) -> dict[str, Verdict]:
    """The verdict of each node, by its short name."""
    return {finding.subject.partition(":")[0]: finding.verdict for finding in outcome.findings}


def worst(outcome: Outcome) -> Verdict:
    """The verdict that the engine would give."""
    return outcome.verdict or Verdict.worst(finding.verdict for finding in outcome.findings)


def steady(every_s: float, stopped: float = 0.0):
    """A counter that grows by one every so many seconds, until ``stopped`` seconds ago."""
    return lambda age: (BEGAN - max(age, stopped)) // every_s


async def test_learning_training_progress_passes_while_rounds_finish():
    """Learners that keep the fleet's pace pass, also when their rounds are rare."""
    for every in (15, 240, 900):
        memory = mesh()
        for trainer in TRAINERS:
            memory.add("fl_training_rounds_total", trainer, steady(every))
        outcome = await ask("learning.training-progress", memory)
        assert worst(outcome) is Verdict.PASS, every


@pytest.mark.parametrize("stopped", [700, 3000, 3590, 7000])
async def test_learning_training_progress_finds_the_one_that_stands_still(stopped):
    """One learner that stopped, lately or long ago, fails; the others pass."""
    memory = mesh()
    for trainer in TRAINERS:
        memory.add("fl_training_rounds_total", trainer, steady(15, stopped if trainer == TRAINERS[1] else 0))
    outcome = await ask("learning.training-progress", memory)
    assert verdicts(outcome) == {"trainer-1": Verdict.PASS, "trainer-2": Verdict.FAIL, "trainer-3": Verdict.PASS}
    assert "trainer-2: no training round finished lately" in outcome.summary


@pytest.mark.parametrize("stopped", [700, 3590, 7000, 10_700])
async def test_learning_training_progress_finds_a_fleet_that_stands_still(stopped):
    """When nobody progresses, each fails and the summary says that nobody does."""
    memory = mesh()
    for trainer in TRAINERS:
        memory.add("fl_training_rounds_total", trainer, steady(15, stopped))
    outcome = await ask("learning.training-progress", memory)
    assert set(verdicts(outcome).values()) == {Verdict.FAIL}
    assert outcome.summary == "no learner has finished a training round in the last 10m"


@pytest.mark.parametrize("known_for", [30, 120])
async def test_learning_training_progress_needs_some_past(known_for):
    """A mesh that has been watched for a moment only has no stall yet, whoever finished the first round."""
    memory = Memory(hours=known_for / 3600)
    for trainer, rounds in zip(TRAINERS, (5, 5, 6), strict=True):
        memory.node(trainer)
        memory.add("fl_training_rounds_total", trainer, lambda age, rounds=rounds: rounds if age < 10 else 5)
    outcome = await ask("learning.training-progress", memory)
    assert list(verdicts(outcome).values()) == [Verdict.PASS, Verdict.SKIP, Verdict.SKIP]
    assert "too few training rounds" in outcome.findings[-1].message


async def test_learning_training_progress_warns_of_one_that_is_behind():
    """A learner at a third of the fleet's pace is a warning, not a stall."""
    memory = mesh()
    for trainer, every in zip(TRAINERS, (15, 15, 45), strict=True):
        memory.add("fl_training_rounds_total", trainer, steady(every))
    outcome = await ask("learning.training-progress", memory)
    assert verdicts(outcome)["trainer-3"] is Verdict.WARN
    assert "behind the fleet's pace" in outcome.summary


async def test_learning_training_progress_skips_what_is_down_and_asks_after_what_is_missing():
    """A node that is down is skipped, one that is up without the metric is unknown."""
    memory = Memory()
    memory.node("trainer-1:9091")
    memory.node("trainer-2:9091", up=False)
    memory.node("trainer-3:9091")
    memory.add("fl_training_rounds_total", "trainer-1:9091", steady(15))
    outcome = await ask("learning.training-progress", memory)
    assert verdicts(outcome) == {"trainer-1": Verdict.PASS, "trainer-2": Verdict.SKIP, "trainer-3": Verdict.UNKNOWN}


async def test_learning_accuracy_takes_the_worst_model_of_a_node():
    """As in the alert rule, any model below the bound counts; NaN is unknown, not fine."""
    memory = mesh()
    memory.add("fl_model_accuracy", TRAINERS[0], 0.95, model="a")
    memory.add("fl_model_accuracy", TRAINERS[0], 0.71, model="b")
    memory.add("fl_model_accuracy", TRAINERS[1], 0.92)
    memory.add("fl_model_accuracy", TRAINERS[2], nan)
    outcome = await ask("learning.accuracy", memory)
    assert verdicts(outcome) == {"trainer-1": Verdict.WARN, "trainer-2": Verdict.PASS, "trainer-3": Verdict.UNKNOWN}


async def test_learning_accuracy_drop_is_held_against_the_windows_start():
    """A model that fell is found; one that rose passes; a learner too young to compare is skipped."""
    memory = mesh((*TRAINERS, "trainer-4:9091"))
    memory.add("fl_model_accuracy", TRAINERS[0], lambda age: 0.9 if age > 600 else 0.82)
    memory.add("fl_model_accuracy", TRAINERS[1], lambda age: 0.9 if age > 600 else 0.6)
    memory.add("fl_model_accuracy", TRAINERS[2], lambda age: 0.9 if age > 600 else 0.95)
    memory.add("fl_model_accuracy", "trainer-4:9091", 0.9, since=300)
    outcome = await ask("learning.accuracy-drop", memory)
    assert verdicts(outcome) == {
        "trainer-1": Verdict.WARN,
        "trainer-2": Verdict.FAIL,
        "trainer-3": Verdict.PASS,
        "trainer-4": Verdict.SKIP,
    }
    assert "offset 1h" in outcome.evidence[-1].command


async def test_learning_accuracy_drop_of_a_mesh_younger_than_the_window_is_skipped():
    """There is nothing to hold it against yet, which is said and is no fault."""
    memory = mesh()
    for trainer in TRAINERS:
        memory.add("fl_model_accuracy", trainer, 0.9, since=300)
    outcome = await ask("learning.accuracy-drop", memory)
    assert (outcome.verdict, outcome.summary) == (
        Verdict.SKIP,
        "not looked at: its accuracy of 1h ago is not known",
    )


async def test_learning_accuracy_spread_finds_the_odd_one_out():
    """A learner far below the median stands out; everybody low together is no spread."""
    memory = mesh()
    for trainer, value in zip(TRAINERS, (0.91, 0.92, 0.45), strict=True):
        memory.add("fl_model_accuracy", trainer, value)
    outcome = await ask("learning.accuracy-spread", memory)
    assert verdicts(outcome) == {"trainer-1": Verdict.PASS, "trainer-2": Verdict.PASS, "trainer-3": Verdict.FAIL}
    low = mesh()
    for trainer in TRAINERS:
        low.add("fl_model_accuracy", trainer, 0.3)
    assert worst(await ask("learning.accuracy-spread", low)) is Verdict.PASS


async def test_learning_accuracy_spread_needs_three():
    """Of two learners nobody can say who is the odd one."""
    memory = mesh(TRAINERS[:2])
    for trainer, value in zip(TRAINERS[:2], (0.9, 0.3), strict=True):
        memory.add("fl_model_accuracy", trainer, value)
    outcome = await ask("learning.accuracy-spread", memory)
    assert outcome.verdict is Verdict.SKIP
    assert "too few" in outcome.summary


async def test_learning_aggregation_time_is_asked_of_aggregators():
    """A slow aggregator warns; a mesh without one is skipped rather than unknown."""
    memory = mesh()
    memory.node("aggregator-1:9092", "aggregator")
    memory.add("fl_aggregation_duration_seconds", "aggregator-1:9092", 45)
    assert verdicts(await ask("learning.aggregation-time", memory)) == {"aggregator-1": Verdict.WARN}
    assert (await ask("learning.aggregation-time", mesh())).verdict is Verdict.SKIP


async def test_learning_privacy_budget_is_a_share():
    """Above nine tenths it warns, used up it fails."""
    memory = mesh()
    for trainer, value in zip(TRAINERS, (0.4, 0.95, 1.0), strict=True):
        memory.add("fl_privacy_budget_consumed", trainer, value)
    outcome = await ask("learning.privacy-budget", memory)
    assert list(verdicts(outcome).values()) == [Verdict.PASS, Verdict.WARN, Verdict.FAIL]


async def test_learning_privacy_pace_tells_the_days_left():
    """Days follow from what is left and how fast it goes; what is not spent lasts; what is gone has none left."""
    day = 86_400
    memory = mesh((*TRAINERS, "trainer-4:9091"))
    memory.add("fl_privacy_budget_consumed", TRAINERS[0], lambda age: 0.5 - age / day * 0.1)
    memory.add("fl_privacy_budget_consumed", TRAINERS[1], lambda age: 0.5 - age / day * 1.0)
    memory.add("fl_privacy_budget_consumed", TRAINERS[2], 0.5)
    memory.add("fl_privacy_budget_consumed", "trainer-4:9091", 1.0)
    outcome = await ask("learning.privacy-pace", memory)
    found = {finding.subject.partition(":")[0]: finding for finding in outcome.findings}
    assert list(verdicts(outcome).values()) == [Verdict.WARN, Verdict.FAIL, Verdict.PASS, Verdict.FAIL]
    assert found["trainer-1"].value == pytest.approx(5.0)
    assert found["trainer-2"].value == pytest.approx(0.5)
    assert (found["trainer-3"].value, found["trainer-3"].message) == (None, "the privacy budget is not being spent")
    assert found["trainer-4"].value == 0


@pytest.mark.parametrize(
    "id_",
    ["training-progress", "accuracy", "accuracy-drop", "accuracy-spread", "privacy-budget", "privacy-pace"],
)
async def test_a_metric_that_nobody_exposes_is_unknown(id_):
    """No data is no answer: unknown with the reason, never a pass."""
    outcome = await ask(f"learning.{id_}", mesh(), window=timedelta(minutes=10))
    assert worst(outcome) is Verdict.UNKNOWN
    assert "never seen" in outcome.summary
