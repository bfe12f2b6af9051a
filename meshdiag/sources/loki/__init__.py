"""Loki: the logs of the mesh in a log store, asked in LogQL. What Loki can select is selected there.

client.py        ``Loki``: records, evidence, identity
following.py     ``--follow``: the tail, mended after breaks; queries where there is no tail
tail.py          the websocket: frames, and why it does not open or ends
seen.py          what was given out lately, so that nothing comes twice
paging.py        a window page by page, losing nothing between streams
surroundings.py  lines around the wanted ones
api.py           one request: refusals in plain text, bounds, "starting"
entries.py       streams of an answer to entries
reading.py       entries to records: formats, labels
translate.py     a selection as LogQL: which filters, and why they hide nothing
lines.py         ``--grep`` as line filters
said.py          what a line must hold to say a level, a name, a field
fields.py        ``--where`` and ``--field`` as parser and label filters
labels.py        which labels say level, component and node
logql.py         LogQL as text: quoting, selectors
logcli.py        the logcli command that asks the same
identity.py      is it a Loki at all, and what else is it
"""

from __future__ import annotations

from meshdiag.sources.loki.api import Member
from meshdiag.sources.loki.client import Loki
from meshdiag.sources.loki.identity import Identity

__all__ = ["Identity", "Loki", "Member"]
