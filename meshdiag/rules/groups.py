"""What a rule file holds: rules in groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshdiag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule, or a recording rule (``record``). ``labels`` and ``annotations`` are templates as they
    were written, the group's labels among them. Durations in milliseconds. ``line`` is where it begins."""

    name: str
    expr: str
    record: bool = False
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other. ``interval_ms`` is None where the server's own applies;
    ``limit`` is how many series or alerts a rule may make, 0 for any number."""

    name: str
    rules: tuple[Rule, ...]
    interval_ms: int | None = None
    query_offset_ms: int = 0
    limit: int = 0
    file: str = ""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file. ``notes`` say what of it is not as it looks."""

    name: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in order."""
        return tuple(rule for group in self.groups for rule in group.rules)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a rule file. ``rule`` counts from 1 within its group, 0 where it is about none; ``name`` is
    the rule's, "" where it has none."""

    line: int
    message: str
    group: str = ""
    rule: int = 0
    name: str = ""

    def __str__(self) -> str:
        where = f'group "{self.group}", ' if self.group else ""
        which = f"rule {self.rule}{f' ({self.name})' if self.name else ''}, " if self.rule else ""
        return f"{where}{which}".rstrip(", ") + (": " if where or which else "") + self.message


class RuleFileError(ConfigError):
    """A rule file that cannot be used; ``problems`` are all that is wrong with it."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"{file}:{one.line}: {one}" if one.line else f"{file}: {one}" for one in problems[:SHOWN_PROBLEMS]]
        if len(problems) > SHOWN_PROBLEMS:
            lines.append(f"{file}: and {len(problems) - SHOWN_PROBLEMS} more problems")
        super().__init__("\n".join(lines))
