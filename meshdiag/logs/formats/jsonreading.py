"""JSON of log lines: the standard library's reader for the first lines, orjson's once there are many.

orjson takes 20 ms to load, which a few lines never win back. Both give the same answers here: what one of them
refuses (NaN, lone surrogates, raw control characters), the other refuses too. A number beyond the largest that there
is becomes that one, as jq has it. Whether objects have a field, msgspec tells without building what they hold.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from meshdiag.regexes import when_used

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 1500
"""How many lines are read by the standard library first: about as long as orjson takes to load."""


_BEYOND = when_used(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{300}")
"""What every number has that is beyond the largest: orjson refuses it."""


def _whole(digits: str) -> int | float:
    """An integer of up to 64 bits, a float beyond: what orjson makes of it."""
    number = int(digits) if len(digits) <= 20 else None
    return number if number is not None and -(2**63) <= number < 2**64 else _finite(digits)


def _finite(digits: str) -> float:
    return max(-sys.float_info.max, min(float(digits), sys.float_info.max))


def _refuse(name: str) -> Any:
    raise ValueError(name)


class _Reader:
    """Counts the lines, and changes from one library to the other."""

    def __init__(self) -> None:
        self._left = _PATIENCE
        self.fast: Callable[[bytes | str], Any] | None = None

    def read(self, raw: bytes) -> Any:
        """The value of a JSON text. Raises ``ValueError``."""
        self._left -= 1
        if self.fast is None and (self._left >= 0 and len(raw) <= 65_536 and not _surrogates(raw)):
            try:
                return self._slow(raw.decode("utf-8"))
            except RecursionError:
                pass
        try:
            return self._load_fast()(raw)
        except ValueError:
            if _surrogates(raw) or not _BEYOND.search(raw):
                raise
            return self._slow(raw.decode("utf-8"))

    @cached_property
    def _slow(self) -> Callable[[str], Any]:
        from json import JSONDecoder

        return JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_refuse).decode

    def _load_fast(self) -> Callable[[bytes | str], Any]:
        if self.fast is None:
            import orjson

            self.fast = orjson.loads
        return self.fast


def _surrogates(raw: bytes) -> bool:
    """Whether a text may hold halves of characters, which only one of the two libraries refuses."""
    return b"\\ud" in raw or b"\\uD" in raw


_reader = _Reader()


def quick_object(raw: bytes) -> dict[str, Any] | None:
    """The same as ``read_object`` for most objects, at little more than the library's cost; None where that must be
    asked."""
    fast = _reader.fast
    if fast is None or raw[:1] != b"{":
        return None
    try:
        found: dict[str, Any] = fast(raw)
    except ValueError:
        return None
    return found


def read_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object that a text is, None when it is none. Bytes that are not UTF-8 are replaced; a comma after
    the object (lines of an array) and line ends are ignored."""
    value = _value(raw)
    if value is None:
        trimmed = raw.rstrip(b" \t\r\n,")
        if trimmed[-1:] == b"}" and len(trimmed) < len(raw):
            value = _value(trimmed)
    return value if isinstance(value, dict) else None


def _value(raw: bytes) -> Any:
    try:
        return _reader.read(raw)
    except ValueError:
        pass
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return _reader.read(raw.decode("utf-8", "replace").encode("utf-8"))
        except ValueError:
            return None
    return None


def escaped(text: str) -> str:
    """A text as it stands in a JSON string."""
    from json import dumps

    return dumps(text)[1:-1]


_START = 8192
_MARK = when_used(rb'"(?:[^"\\]|\\.)*+"|[{}\[\],]', re.DOTALL)


def read_start(raw: bytes) -> dict[str, Any] | None:
    """The pairs that a broken object begins with: one that was cut because it is long, or torn. Only its first bytes
    are looked at. None where there is not one whole pair."""
    head = raw[:_START]
    depth, last = 0, 0
    for found in _MARK.finditer(head):
        mark = found[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        elif mark == b"," and depth == 1:
            last = found.start()
        if depth < 1:
            break
    return read_object(head[:last] + b"}") if last else None


def field_test(key: str, exact: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """A test whether objects have a field under a key, and not null, several times as fast as reading them; what is
    no plain object is left to the ``exact`` test. Takes 10 ms to make."""
    import msgspec

    value = msgspec.field(default=msgspec.Raw(), name=key)
    decode = msgspec.json.Decoder(msgspec.defstruct("_Holder", [("value", msgspec.Raw, value)], gc=False)).decode

    def has(raw: bytes) -> bool:
        try:
            found: bytes = decode(raw).value  # type: ignore[attr-defined]
        except (msgspec.DecodeError, RecursionError):
            return exact(raw)
        if raw[:1] != b"{":
            return exact(raw)
        return len(found) > len(b"null") or (len(found) > 0 and bytes(found) != b"null")

    return has
