"""What holds connections and is done with at the end of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Something to be closed with ``aclose``, or by ``async with``."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of connections and of what is under way."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()
