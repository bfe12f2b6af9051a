"""Many logs as they grow: merged as they come, through restarts of those who write and breaks of the connection.

What was there when following began is read first, which fixes where "from now on" begins without any clock; then
each log is followed from there, and each that appears later from its beginning. When the writer of a log ends, what
it left is read; when it starts anew, reading goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.streams.breaks import LASTING, PATIENCE_S, Break
from meshdiag.sources.streams.picking import merged
from meshdiag.sources.streams.window import Ask, Failures, history, last

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.streams.window import Log, Reader, Reading

QUIET_S = 0.1
"""A record that no line continues for so long is complete."""
RECENT = 100
"""Last lines that are read to learn a log's format and its end."""
QUEUE = 1024


class Following:
    """One following of many logs. ``patience_s``: how long a break may last."""

    def __init__(self, reader: Reader, selection: Selection, tally: Tally, *, patience_s: float = PATIENCE_S) -> None:
        self._reader = replace(reader, resumes=True)
        self._selection = selection
        self._tally = tally
        self._patience_s = patience_s
        self._readings: dict[str, Reading] = {}
        self._latest: dict[str, Log] = {}
        self._ended: dict[str, str] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._unread: set[str] = set()
        self._queue: asyncio.Queue[list[Record] | Exception] = asyncio.Queue(QUEUE)

    async def records(self) -> AsyncGenerator[Record, None]:
        """The wanted records: those asked for by ``since_ns`` or ``tail`` first, then new ones, without end."""
        logs = await self._reader.keeper.logs(self._tally)
        async with aclosing(self._past(logs)) as past:
            async for record in past:
                yield record
        watch = asyncio.create_task(self._guarded(self._watch()))
        try:
            while True:
                found = await self._queue.get()
                if isinstance(found, Exception):
                    raise found
                for record in found:
                    yield record
        finally:
            tasks = [watch, *self._pumps.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # what is there already -------------------------------------------------------------------------------

    async def _past(self, logs: list[Log]) -> AsyncGenerator[Record, None]:
        failures = Failures(len(logs), self._tally)
        streams = [failures.told(self._past_of(log)) for log in logs]
        async with aclosing(merged(streams)) as records:
            async for record in records:
                yield record
        failures.judge()

    async def _past_of(self, log: Log) -> AsyncGenerator[Record, None]:
        selection, tally = self._selection, self._tally
        if not log.running:
            self._ended[log.key] = log.life
        if selection.tail is not None:
            self._unread.add(log.key)
            records, self._readings[log.key] = await last(self._reader, log, selection, tally)
            self._unread.discard(log.key)
            for record in records:
                yield record
            return
        reading = self._readings[log.key] = self._reader.open(log, selection, tally)
        if selection.since_ns is not None:
            async with aclosing(history(self._reader, reading, selection._replace(until_ns=None), tally)) as past:
                async for record in past:
                    yield record
            return
        self._unread.add(log.key)
        await self._pass_by(reading)

    async def _pass_by(self, reading: Reading) -> None:
        """Take note of where a log ends now, and of its format."""
        async with aclosing(self._reader.keeper.lines(reading.log, Ask(tail=RECENT), self._tally)) as lines:
            async for batch in lines:
                reading.learn(batch)
                reading.skip(batch)
        self._unread.discard(reading.log.key)

    # what comes ------------------------------------------------------------------------------------------

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Whatever goes wrong beside reaches the reader."""
        try:
            await work
        except Exception as error:
            await self._queue.put(error)

    async def _watch(self) -> None:
        """Keep a pump running for each log that may grow."""
        trouble = Break(self._patience_s)
        while True:
            try:
                async with aclosing(self._reader.keeper.changes()) as changes:
                    async for logs in changes:
                        trouble.over()
                        for log in logs:
                            self._see(log)
            except SourceError as error:
                if not await trouble.bear(error):
                    await self._queue.put(error)
                    return

    def _see(self, log: Log) -> None:
        self._latest[log.key] = log
        if log.key not in self._pumps and self._ended.get(log.key) != log.life:
            self._pumps[log.key] = asyncio.create_task(self._guarded(self._pump(log)))

    async def _pump(self, log: Log) -> None:
        """Follow one log for as long as its writers live."""
        reading = self._readings.get(log.key)
        if reading is None:
            reading = self._readings[log.key] = self._reader.open(log, self._selection, self._tally)
        trouble = Break(self._patience_s)
        while True:
            log = self._latest[log.key]
            try:
                await self._read_on(log, reading, trouble)
            except SourceError as error:
                if error.trouble is Trouble.NOT_FOUND:
                    break
                if await trouble.bear(error):
                    continue
                await self._give_up(error)
                break
            if self._latest[log.key].life == log.life:
                break
        self._ended[log.key] = log.life
        del self._pumps[log.key]

    async def _read_on(self, log: Log, reading: Reading, trouble: Break) -> None:
        """Read what a log says until its writer ends."""
        if log.key in self._unread:
            await self._pass_by(reading)
        reading.resume.again()
        ask = Ask(since_ns=reading.resume.since_ns, follow=True)
        try:
            async with aclosing(self._reader.keeper.lines(log, ask, self._tally)) as lines:
                async for batch in lines:
                    if told := trouble.over():
                        self._tally.notes.append(f"{log.origin.file}: {told}")
                    await self._give(reading.feed(batch))
                    if reading.waiting:
                        self._settle_later(reading, reading.lines)
        finally:
            self._settle(reading)

    async def _give_up(self, error: SourceError) -> None:
        """One log of several that is not to be had is told; otherwise following ends."""
        if error.trouble not in LASTING or len(self._latest) == 1:
            await self._queue.put(error)
        elif str(error) not in self._tally.skipped:
            self._tally.skipped.append(str(error))

    async def _give(self, records: list[Record]) -> None:
        if records:
            await self._queue.put(records)

    def _settle_later(self, reading: Reading, lines: int) -> None:
        asyncio.get_running_loop().call_later(QUIET_S, self._settle_if_quiet, reading, lines)

    def _settle_if_quiet(self, reading: Reading, lines: int) -> None:
        if reading.lines == lines:
            self._settle(reading)

    def _settle(self, reading: Reading) -> None:
        """The open records are complete. They are few, so they pass a full queue by."""
        records = reading.settle()
        if not records:
            return
        try:
            self._queue.put_nowait(records)
        except asyncio.QueueFull:
            asyncio.get_running_loop().call_later(QUIET_S, self._again, records)

    def _again(self, records: list[Record]) -> None:
        try:
            self._queue.put_nowait(records)
        except asyncio.QueueFull:
            asyncio.get_running_loop().call_later(QUIET_S, self._again, records)
