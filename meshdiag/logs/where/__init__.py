"""``--where``: a condition on a record's fields, as ``consensus.round > 5 and duration_ms >= 100``.

    condition   a OR b, a AND b, NOT a, (a); words in any case
    comparison  PATH = != < <= > >= VALUE (== is = as well)
                PATH =~ REGEX, PATH !~ REGEX (found anywhere, RE2 syntax), PATH contains TEXT
    presence    PATH alone: the record has it, and it is not null
    path        level, component, node, message, ts, or a field of JSON and logfmt: consensus.round, 'odd key'
    value       a bare word, a quoted text, a number, a duration (100ms, 5s), true, false, null

A field that is missing or of another type meets no comparison, ``!=`` and ``!~`` among them (``not`` turns the
answer around); ``= null`` is met where it is missing. Numbers compare with numbers and with texts that are
numbers (logfmt has nothing else), texts compare letter by letter, ``level`` by gravity, ``component`` and ``node``
without case, ``ts`` with a moment as ``--since`` takes it. A duration compares with a text such as ``1.5s`` and with
a number whose field says its unit: ``duration_ms``, ``took_s``.

    tree.py      the parsed condition, for whoever translates it
    parsing.py   text to tree, errors with a caret under the place
    meaning.py   tree to a test of a record
"""

from __future__ import annotations

from meshdiag.logs.where.meaning import Where, parse_where, value_at
from meshdiag.logs.where.tree import Both, Comparison, Either, Node, Not, Present, Seconds, Value

__all__ = [
    "Both",
    "Comparison",
    "Either",
    "Node",
    "Not",
    "Present",
    "Seconds",
    "Value",
    "Where",
    "parse_where",
    "value_at",
]
