"""A server that nobody named: where none listens at its usual place it is not missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.errors import LeftOut, Trouble

if TYPE_CHECKING:
    from meshdiag.errors import SourceError


def not_missed(error: SourceError, name: str, *, named: bool) -> None:
    """Raises ``LeftOut`` where the context did not name the server (``named``) and its usual place refuses."""
    if error.trouble is Trouble.REFUSED and not named:
        raise LeftOut(f"the context names no {name} and none listens at its usual place", source=name) from error
