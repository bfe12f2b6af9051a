"""``--jq``: each record through a jq program, by jq's own Python binding (the extra ``jq``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from meshdiag.logs.record import Record
    from meshdiag.logs.tally import Tally


class Jq:
    """A jq program. A record of JSON goes in as it stands in the log; any other as an object with ``ts`` (seconds
    since the epoch), ``level``, ``component``, ``node``, ``message`` and its fields."""

    def __init__(self, expression: str, tally: Tally) -> None:
        """Raises ``UsageError`` where the binding is missing or the program is none."""
        try:
            import jq
        except ImportError:
            raise UsageError(
                "--jq needs jq's Python binding, which is not installed",
                hint="pip install 'meshdiag[jq]', or pipe the lines: meshdiag logs ... | jq ...",
            ) from None
        try:
            self._program: Any = jq.compile(expression)
        except ValueError as error:
            reason = str(error).removeprefix("jq: error: ").rsplit("\njq: ", 1)[0]
            raise UsageError(f"--jq: {reason}", hint="meshdiag logs --jq '.consensus // empty'") from None
        self._tally = tally
        self.failed = 0

    def lines(self, record: Record) -> str:
        """What the program makes of a record: a line of JSON for each result, empty for none. A record that it
        cannot work on is counted."""
        try:
            results = self._program.input_text(_input(record)).all()
        except ValueError as error:
            self.failed += 1
            if self.failed == 1:
                self._tally.notes.append(f"jq could not work on some records, the first time: {error}")
            return ""
        return "".join(f"{json.dumps(one, ensure_ascii=False, separators=(',', ':'))}\n" for one in results)


def _input(record: Record) -> str:
    raw = record.raw.strip()
    if raw.startswith(b"{") and record.fields:
        return raw.decode("utf-8", "replace")
    told = {
        "ts": None if record.time_ns is None else record.time_ns / 1e9,
        "level": None if record.level is None else record.level.word,
        "component": record.component or None,
        "node": record.node or None,
        "message": record.message,
    }
    return json.dumps({**told, **record.fields}, default=str)
