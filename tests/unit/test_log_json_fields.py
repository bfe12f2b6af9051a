"""Whether objects have a field is told without reading them whole, and told as reading them tells it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.jsonlines import JsonFormat, Shape
from meshdiag.logs.formats.jsonreading import field_test

FORMAT = JsonFormat(Shape(), Hints(datetime(2026, 3, 9, tzinfo=UTC), UTC))

NUMBERS = (
    "1e999",
    "-1e+400",
    "1E9999",
    "9" * 400,
    "1e-999",
    "01",
    "1.",
    ".5",
    "-",
    "NaN",
    "Infinity",
    "123456789012345678901",
)
TEXTS = (r'"\ud800"', r'"\ud83d\ude00"', '"\x01"', '"\x7f"', r'"\x"', r'"\u12g4"', r'"\u0041"', '"\x1f')
ODD = ("tru", "nul", "nulL", "null", " null ", "0", '""', "true", "[]", "{}", "[1,]", "{,}", "[" * 2000 + "]" * 2000)
BROKEN = (
    *(f'{{"a":{value},"round":1}}' for value in (*NUMBERS, *TEXTS, *ODD)),
    *(f'{{"round":{value}}}' for value in (*NUMBERS, *TEXTS, *ODD)),
    '{"round":1,"round":null}',
    '{"round":null,"round":1}',
    r'{"ro\u0075nd":1}',
    '{"a":{"round":1}}',
    '{"a":"round"}',
    ' {"round":1}',
    '\t{"round":1}',
    '{"round":1}\r',
    '{"round":1},',
    '{"round":1}x',
    '{"round":1}\n  more',
    '\0{"round":1}',
    '\ufeff{"round":1}',
    '[{"round":1}]',
    '{"round":1',
    '{"round":1,',
    '{"a":1 "round":2}',
    '{"round" : 1 }',
    "{}",
    "",
    '"round"',
)


class _LeftToReadingError(Exception):
    pass


def _leave(_raw: bytes) -> bool:
    raise _LeftToReadingError


QUICK = field_test("round", _leave)


def agree(raw: bytes) -> bool:
    """Check that the quick test says what reading says; whether it said anything."""
    try:
        told = QUICK(raw)
    except _LeftToReadingError:
        return False
    assert told is (FORMAT.fields(raw).get("round") is not None), raw
    return True


@pytest.mark.parametrize("text", BROKEN)
def test_odd_objects_have_a_field_if_reading_them_finds_it(text: str) -> None:
    """Numbers beyond all bounds, broken texts, keys twice, blanks, marks and torn ends make no difference."""
    agree(text.encode())
    agree(text.encode("utf-16-le"))


def test_plain_objects_are_not_left_to_reading() -> None:
    """The test is worth having: it tells of ordinary records by itself, with the field and without."""
    assert agree(
        b'{"ts":"2026-03-09T03:12:00Z","msg":"a \\"b\\" \xc3\xa9 \xff","round":{"height":1.5e3,"votes":[1,null]}}'
    )
    assert agree(b'{"msg":"no round here: \\"round\\":1","a":{"round":2}}')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["round", "a", "é"]), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["round", "a", "msg", "rounds"]), VALUES, max_size=4)
CHANGES = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 3), st.binary(max_size=2) | st.sampled_from([b"e999", b"\\ud8"])),
    max_size=3,
)


@settings(max_examples=300)
@given(OBJECTS, st.booleans(), CHANGES)
@example({"round": 1, "a": 1e30}, False, [])
def test_broken_objects_have_a_field_if_reading_them_finds_it(
    record: dict[str, object], escaped: bool, changes: list[tuple[int, int, bytes]]
) -> None:
    """Whatever bytes are put into an object or taken out of it, the quick test is never of another opinion."""
    raw = json.dumps(record, ensure_ascii=escaped).encode()
    for place, gone, put in changes:
        raw = raw[:place] + put + raw[place + gone :]
    if b"\n" not in raw:
        agree(raw)
