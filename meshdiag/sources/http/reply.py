"""An answer over HTTP, whole: status, headers, body, and how it reads as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import orjson

from meshdiag.errors import Trouble
from meshdiag.sources.http.collector import collector_paused
from meshdiag.sources.http.trouble import excerpt, from_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from meshdiag.errors import SourceError
    from meshdiag.sources.http.trouble import Where

ERROR_BODY: Final = 64 * 1024
"""How much of what a server says of a failure is read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, headers, the decompressed body, the address it came from (as it may be shown).

    ``asked`` and ``answered`` are the local clock (UTC) before the request and when the headers were there.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    where: Where
    asked: datetime
    answered: datetime

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; "" when the server names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ``SourceError`` (malformed) that says what it is instead."""
        try:
            with collector_paused():
                return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            from meshdiag.sources.http.fingerprint import recognise

            kind = self.content_type or "no content type"
            found = recognise(self)
            what = found.phrase if found.name else f"it begins {excerpt(self.content, 60)!r}"
            raise self.where.error(
                Trouble.MALFORMED,
                f"its answer is not JSON ({kind}; {what})" if self.content else "its answer is empty instead of JSON",
                "check that the URL points to the right server",
            ) from error

    def error(self) -> SourceError:
        """The error that this reply's status stands for."""
        return from_status(self.status, self.content[:ERROR_BODY], self.where, self.headers.get("retry-after"))

    def misshapen(self, what: str) -> SourceError:
        """The error for JSON that is not the expected one; ``what`` names the part that is missing or wrong."""
        return self.where.error(
            Trouble.MALFORMED,
            f"its answer has another shape than expected ({excerpt(what)})",
            "check that the URL points to the right server, and its version",
        )

    @property
    def clock_skew_s(self) -> float | None:
        """How far the server's clock is ahead of this one (s), to about a second; None when it tells no date."""
        from email.utils import parsedate_to_datetime  # here, because most runs do not need it and it is long to import

        try:
            date = parsedate_to_datetime(self.headers["date"])
        except (KeyError, ValueError, TypeError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        # The header has whole seconds, cut off: its clock stood anywhere within that second.
        low, high = date.timestamp(), date.timestamp() + 1
        asked, answered = self.asked.timestamp(), self.answered.timestamp()
        if high < asked:
            return high - asked
        return low - answered if low > answered else 0.0
