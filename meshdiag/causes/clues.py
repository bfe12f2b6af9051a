"""What causes are drawn from: the findings that went wrong, by check and by node."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from meshdiag.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.model import Finding, Result

BAD = (Verdict.WARN, Verdict.FAIL)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Clue(Struct, frozen=True):
    """A finding that went wrong, and the check that made it."""

    check: str
    finding: Finding

    @property
    def who(self) -> str:
        """The node it is about, by name where it has one."""
        return self.finding.labels.get("node") or self.finding.subject

    @property
    def reference(self) -> str:
        """How a cause refers to it: ``check-id subject``."""
        return f"{self.check} {self.finding.subject}"


@dataclass(frozen=True)
class Clues:
    """The results by id and what went wrong in them."""

    results: Mapping[str, Result] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Sequence[Result]) -> Clues:
        """The clues of some results."""
        return cls({result.id: result for result in results})

    @property
    def trouble(self) -> bool:
        """Whether anything at all is wrong or could not be looked at."""
        return any(result.verdict not in (Verdict.PASS, Verdict.SKIP) for result in self.results.values())

    def bad(self, *patterns: str) -> list[Clue]:
        """The findings that warn or fail of these checks; ``capacity.*`` stands for all of a subject's."""
        return [clue for pattern in patterns for clue in self._bad.get(pattern, ())]

    def by_node(self, *patterns: str) -> dict[str, list[Clue]]:
        """The same by the node they are about."""
        nodes: dict[str, list[Clue]] = {}
        for clue in self.bad(*patterns):
            nodes.setdefault(clue.who, []).append(clue)
        return nodes

    def verdict(self, id_: str) -> Verdict | None:
        """The verdict of a check, None where it did not run."""
        result = self.results.get(id_)
        return result.verdict if result else None

    @cached_property
    def _bad(self) -> dict[str, list[Clue]]:
        found: dict[str, list[Clue]] = {}
        for id_, result in self.results.items():
            if bad := [Clue(id_, finding) for finding in result.findings if finding.verdict in BAD]:
                found[id_] = bad
                found.setdefault(id_.partition(".")[0] + ".*", []).extend(bad)
        return found


def references(clues: Iterable[Clue]) -> tuple[str, ...]:
    """What a cause rests on, each once, in the order given."""
    return tuple(dict.fromkeys(clue.reference for clue in clues))


def listed(names: Iterable[str], limit: int = 3) -> str:
    """``trainer-1, trainer-2 and 4 more``."""
    each = list(dict.fromkeys(names))
    if len(each) > limit:
        return f"{', '.join(each[:limit])} and {len(each) - limit} more"
    return " and ".join((", ".join(each[:-1]), each[-1])) if len(each) > 1 else "".join(each)


def plain(name: str) -> bool:
    """Whether a name may stand in a command that a person will paste: names come from outside."""
    return _PLAIN.fullmatch(name) is not None


def on(node: str, command: str, otherwise: str) -> str:
    """The command that runs ``command`` on a node, or ``otherwise`` where the node's name is none to paste."""
    return f"ssh {node} {command}" if plain(node) else otherwise
