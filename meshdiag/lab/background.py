"""A lab in a thread of its own, for a caller that goes on working in this process (the demo, the tests)."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from meshdiag.lab import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.lab import Lab, LabOptions


@contextmanager
def lab_in_background(options: LabOptions | None = None) -> Iterator[Lab]:
    """Run a lab beside the caller until the block ends. Raises what ``running`` raises."""
    ready: SimpleQueue[Lab | BaseException] = SimpleQueue()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def serve() -> None:
        try:
            async with running(options) as lab:
                ready.put(lab)
                await done.wait()
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="lab", daemon=True)
    thread.start()
    try:
        lab = ready.get()
        if isinstance(lab, BaseException):
            raise lab
        yield lab
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(timeout=10)
        loop.close()
