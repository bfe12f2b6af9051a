"""As much of DER (ITU-T X.690) as it takes to see where one value ends and the next begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

INTEGER, BIT_STRING, OCTET_STRING, OID = 0x02, 0x03, 0x04, 0x06
SEQUENCE, SET = 0x30, 0x31
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


class Value(NamedTuple):
    """One value: its tag and content, and the whole of it."""

    tag: int
    content: bytes
    whole: bytes


def read_value(data: bytes, at: int = 0) -> Value:
    """The value that begins at ``at``. Raises ``ValueError`` with one sentence."""
    if at + 2 > len(data):
        raise ValueError("the data end where a value should begin")
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or start + octets > len(data):
            raise ValueError("a length that cannot be right")
        length, start = int.from_bytes(data[start : start + octets]), start + octets
    if start + length > len(data):
        raise ValueError(f"{start + length - len(data)} bytes are missing at the end")
    return Value(tag, data[start : start + length], data[at : start + length])


def read_values(data: bytes) -> Iterator[Value]:
    """The values one after the other. Raises ``ValueError`` at the first that is not whole."""
    at = 0
    while at < len(data):
        value = read_value(data, at)
        yield value
        at += len(value.whole)


def dotted(content: bytes) -> str:
    """An object identifier as numbers and dots; empty where it is not one."""
    numbers: list[int] = []
    number = 0
    for octet in content[:64]:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    if not numbers:
        return ""
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
