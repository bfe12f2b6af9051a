"""Joining expressions into one query, and taking the answer apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import promql_parser
import pytest

from meshdiag.errors import SourceError, Trouble
from meshdiag.metrics import Sample, Vector
from meshdiag.sources.prometheus.batch import MARK, MAX_BYTES, MAX_EXPRESSIONS, Batcher, chunks, join, split_vector

if TYPE_CHECKING:
    from collections.abc import Hashable


def marked(place: object, value: float = 1.0) -> Sample:
    return Sample({"instance": "a", MARK: str(place)}, value, 0.0)


def test_a_joined_query_parses_whatever_its_parts_end_with() -> None:
    """Comments and line breaks at the end of a part do not swallow the rest."""
    for count in range(2, 12):
        text = join([f"m{place} > 1 # comment ) or" for place in range(count)])
        assert type(promql_parser.parse(text)).__name__ == "ParenExpr"
        assert text.count("label_replace") == count


def test_groups_are_bounded_and_lose_nothing() -> None:
    """Every query is asked, in groups that one request can take; what is no vector goes alone."""
    queries = [f"metric_{place}" for place in range(100)] + ["1", "up[5m]", "x" * MAX_BYTES, "sum(", "y"]
    groups = chunks(queries)
    assert sorted(query for group in groups for query in group) == sorted(queries)
    assert all(len(group) <= MAX_EXPRESSIONS for group in groups)
    assert all(group == [query] for group in groups for query in group if query in ("1", "up[5m]", "sum("))


def test_an_answer_is_split_by_its_marker_which_goes() -> None:
    """Samples find their query, and their labels are the server's own."""
    first, second = split_vector(Vector((marked(1, 7.0), marked(0, 5.0))), ["a", "b"])
    assert first.samples == (Sample({"instance": "a"}, 5.0, 0.0),)
    assert second.samples == (Sample({"instance": "a"}, 7.0, 0.0),)


@pytest.mark.parametrize("place", ["2", "-1", "x", ""])
def test_an_answer_without_a_proper_marker_is_not_guessed_at(place: str) -> None:
    """A proxy that meddles with labels must not swap the answers of two checks."""
    with pytest.raises(SourceError) as caught:
        split_vector(Vector((marked(place),)), ["a", "b"])
    assert caught.value.trouble is Trouble.MALFORMED


def test_remarks_go_to_the_query_they_are_about_and_warnings_to_all() -> None:
    """A remark quotes a metric and a place in the joined text; a partial answer concerns everyone."""
    remark = 'PromQL info: metric might not be a counter: "depth" (1:24)'
    first, second = split_vector(Vector((), (remark, "partial response")), ["rate(depth[1m])", "up"])
    assert first.warnings == ('PromQL info: metric might not be a counter: "depth"', "partial response")
    assert second.warnings == ("partial response",)


class Server:
    """Answers with the number of the query; refuses what holds ``refused``."""

    def __init__(self, refused: str = "", trouble: Trouble = Trouble.REJECTED) -> None:
        self.asked: list[str] = []
        self.refused = refused
        self.trouble = trouble

    async def evaluate(self, query: str, key: Hashable) -> Vector:
        self.asked.append(query)
        if self.refused and self.refused in query:
            raise SourceError("refused", trouble=self.trouble)
        return Vector(tuple(marked(place) for place in range(query.count("label_replace"))) or (marked(0),))

    def batcher(self) -> Batcher[Vector]:
        return Batcher(self.evaluate, split_vector)


async def test_questions_with_other_moments_are_asked_apart() -> None:
    """Only what is asked of the same moment is joined."""
    server = Server()
    batcher = server.batcher()
    await asyncio.gather(*(batcher.ask(name, key) for key in ("now", "then") for name in ("a", "b", "a")))
    assert len(server.asked) == 2
    assert all(query.count("label_replace") == 2 for query in server.asked)


async def test_questions_that_come_a_few_turns_later_are_still_joined() -> None:
    """Checks reach their question after some awaits of their own."""
    server = Server()
    batcher = server.batcher()

    async def late(name: str, turns: int) -> Vector:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await batcher.ask(name, None)

    await asyncio.gather(*(late(name, turns) for turns, name in enumerate("abcd")))
    assert len(server.asked) == 1


async def test_an_outage_is_not_asked_about_again() -> None:
    """Only a refusal is worth asking one by one; when the server is gone, one failure is enough."""
    server = Server("a", Trouble.REFUSED)
    batcher = server.batcher()
    answers = await asyncio.gather(*(batcher.ask(name, None) for name in "abc"), return_exceptions=True)
    assert all(isinstance(answer, SourceError) for answer in answers)
    assert len(server.asked) == 1


async def test_closing_ends_what_is_under_way() -> None:
    """Nobody waits for ever for an answer of a closed source."""

    async def never(query: str, key: Hashable) -> Vector:
        await asyncio.sleep(3600)
        return Vector(())

    batcher: Batcher[Vector] = Batcher(never, split_vector)
    asking = asyncio.create_task(batcher.ask("a", None))
    for _ in range(10):
        await asyncio.sleep(0)
    await batcher.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
