"""The mesh's own alert rules, shipped with the package (``mesh.yml``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.rules.reading import read_rules

if TYPE_CHECKING:
    from meshdiag.rules.groups import RuleFile

NAME = "the mesh's own rules"


def mesh_rules_text() -> str:
    """The file as it stands."""
    return Path(__file__).with_name("mesh.yml").read_text(encoding="utf-8")


@cache
def mesh_rules() -> RuleFile:
    """The rules, read once."""
    return read_rules(mesh_rules_text(), NAME)
