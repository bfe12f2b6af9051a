"""Values as Go's fmt package prints them: ``%v`` and ``printf``.

Source: the documentation of Go's fmt (general, integer, floating-point, string verbs; errors in the text).
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from meshdiag.rules.templates.lexing import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_WIDTH = 10_000
"""Widest field and highest precision taken."""
_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?:\[(?P<first>[^]]*)\])?(?P<width>\*|\d+)?"
    r"(?P<dot>\.(?:\[(?P<second>[^]]*)\])?(?P<precision>\*|\d*))?(?:\[(?P<last>[^]]*)\])?(?P<verb>.|\Z)",
    re.DOTALL,
)
"""A verb with its flags; ``[2]`` before a width, a precision or the verb chooses the value that it is for."""
_NANOSECONDS = (3_600_000_000_000, 60_000_000_000, 1_000_000_000)


class Unsupported(Exception):
    """Something that Go or Prometheus knows and this does not."""


class GoDuration(int):
    """A time.Duration: nanoseconds."""

    def __str__(self) -> str:
        sign, left = ("-", -int(self)) if self < 0 else ("", int(self))
        if left < 1_000_000_000:
            for size, unit in ((1_000_000, "ms"), (1000, "µs"), (1, "ns")):
                if left >= size:
                    return f"{sign}{_decimal(left, size)}{unit}"
            return "0s"
        hours, left = divmod(left, _NANOSECONDS[0])
        minutes, left = divmod(left, _NANOSECONDS[1])
        front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
        return f"{sign}{front}{_decimal(left, _NANOSECONDS[2])}s"


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    digits = f"{part:0{len(str(size)) - 1}d}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def type_name(value: object) -> str:
    """The type of a value as Go names it."""
    if value is None:
        return "<nil>"
    if isinstance(value, GoDuration):
        return "time.Duration"
    if isinstance(value, datetime):
        return "time.Time"
    return _TYPES.get(type(value), f"template.{type(value).__name__.lower()}")


_TYPES: dict[type, str] = {
    bool: "bool", int: "int", float: "float64", str: "string", dict: "map[string]string", list: "template.queryResult",
}  # fmt: skip


def show(value: object) -> str:
    """A value as ``%v`` prints it."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case float():
            return float_text(value, "g", None)
        case dict():
            return f"map[{' '.join(f'{name}:{show(one)}' for name, one in sorted(value.items()))}]"
        case list():
            return f"[{' '.join(map(show, value))}]"
        case datetime():
            return time_text(value)
    return str(value)


def time_text(moment: datetime) -> str:
    """A moment in UTC as Go's Time.String() writes it."""
    part = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{part} +0000 UTC"


def float_text(value: float, verb: str, precision: int | None) -> str:
    """A float by one of the verbs e f g E F G; without a precision ``g`` writes the shortest that reads back."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if verb in "gG" and precision is None:
        text = _shortest(value)
        return text.upper() if verb == "G" else text
    if verb in "gG" and precision == 0:
        precision = 1
    return f"%.{6 if precision is None else precision}{verb}" % value


def _shortest(value: float) -> str:
    """The shortest digits; with an exponent below 1e-4 and from 1e6 on, as Go does."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, part = mantissa.lstrip("-").partition(".")
    digits = (whole + part).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    power = point - 1
    if power < -4 or power >= EXPONENT_FROM:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


EXPONENT_FROM = 6


def quote(text: str) -> str:
    """A string as ``%q`` writes it."""
    return f'"{"".join(map(_quoted, text))}"'


_ESCAPES = {character: f"\\{letter}" for character, letter in zip('\a\b\f\n\r\t\v"\\', 'abfnrtv"\\', strict=True)}


def _quoted(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sprintf(layout: str, values: Sequence[object]) -> str:
    """What printf makes; wrong verbs, indexes and missing values are said in the text, as Go says them."""
    printing = _Printing(values)
    text = _VERB.sub(printing.fill, layout)
    if printing.next < len(values) and not printing.reordered:
        left = values[printing.next :]
        extra = ", ".join(f"{type_name(one)}={show(one)}" if one is not None else "<nil>" for one in left)
        text += f"%!(EXTRA {extra})"
    return text


class _Printing:
    """One printf: which value comes next, and whether an index has ever chosen one."""

    def __init__(self, values: Sequence[object]) -> None:
        self.values = values
        self.next = 0
        self.reordered = False
        self._good = True

    def fill(self, found: re.Match[str]) -> str:
        """What stands in place of one verb."""
        verb = found["verb"]
        if verb == "%" and found[0] == "%%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if verb == "[":
            raise Unsupported("an unfinished argument index in printf")
        self._good = True
        self._choose(found["first"])
        width, bad = self._number(found["width"], "WIDTH")
        if found["first"] is not None and (found["width"] or "*") != "*":
            self._good = False  # an index stands right before what it is for
        if found["dot"] is not None:
            self._good &= found["first"] is None or found["width"] == "*"
            self._choose(found["second"])
            precision, worse = self._number(found["precision"] or "0", "PREC")
            bad = bad or worse
        else:
            precision = None
        self._choose(found["last"])
        return bad or self._value(verb, found["flags"], width, precision)

    def _value(self, verb: str, flags: str, width: int | None, precision: int | None) -> str:
        if any(abs(number) > MAX_WIDTH for number in (width, precision) if number is not None):
            raise TemplateError(f"a width or precision beyond {MAX_WIDTH} in printf")
        if verb == "%":
            return "%"
        if not self._good:
            return f"%!{verb}(BADINDEX)"
        if self.next >= len(self.values):
            return f"%!{verb}(MISSING)"
        self.next += 1
        return _formatted(verb, self.values[self.next - 1], flags, width, precision)

    def _choose(self, index: str | None) -> None:
        """Go on with the value of this number, counted from 1."""
        if index is None:
            return
        self.reordered = True
        if index.isascii() and index.isdigit() and 0 < int(index[:9]) <= len(self.values):
            self.next = int(index) - 1
        else:
            self._good = False

    def _number(self, text: str | None, what: str) -> tuple[int | None, str]:
        """A width or precision, written out or the next value; or what Go says of one that is none."""
        if text != "*":
            return (None if text is None else int(text)), ""
        star = self.values[self.next] if self.next < len(self.values) else None
        self.next += 1
        return (star, "") if isinstance(star, int) else (None, f"%!(BAD{what})")


def _formatted(verb: str, value: object, flags: str, width: int | None, precision: int | None) -> str:
    if verb == "v":
        flags = flags.replace("+", "")  # there it asks for field names
    if verb == "T":
        return _padded(type_name(value), flags, width, numeric=False)
    if isinstance(value, dict):
        pairs = sorted(value.items())
        texts = (":".join(_formatted(verb, one, flags, width, precision) for one in pair) for pair in pairs)
        return f"map[{' '.join(texts)}]"
    text = _by_verb(verb, value, flags, precision)
    if text is None:
        return _bad(verb, value, flags, width, precision)
    return _padded(text, flags, width, numeric=isinstance(value, (int, float)) and verb not in "qctT")


def _bad(verb: str, value: object, flags: str, width: int | None, precision: int | None) -> str:
    if value is None:
        return f"%!{verb}(<nil>)"
    shown = _padded(_by_verb("v", value, flags, precision) or "", flags, width, numeric=isinstance(value, (int, float)))
    return f"%!{verb}({type_name(value)}={shown})"


def _by_verb(verb: str, value: Any, flags: str, precision: int | None) -> str | None:
    """The value without its width; None where the verb does not fit it."""
    if isinstance(value, bool):
        return show(value) if verb in "tv" else None
    if isinstance(value, GoDuration):
        return str(value) if verb in "vs" else _of_int(verb, int(value), flags, precision)
    if isinstance(value, int):
        return _of_int(verb, value, flags, precision)
    if isinstance(value, float):
        return _of_float(verb, value, flags, precision)
    if isinstance(value, str) or (isinstance(value, datetime) and verb in "vs"):
        return _of_text(verb, show(value), flags, precision)
    if value is None:
        return "<nil>" if verb == "v" else None
    if verb in "vs":
        return show(value)
    raise Unsupported(f"%{verb} of a {type_name(value)}")


_BASES: dict[str, Callable[[int], str]] = {
    "d": str, "v": str, "b": "{:b}".format, "o": "{:o}".format, "x": "{:x}".format, "X": "{:X}".format,
}  # fmt: skip


def _of_int(verb: str, value: int, flags: str, precision: int | None) -> str | None:
    if verb in _BASES:
        digits = _BASES[verb](abs(value)).rjust(precision or 0, "0")
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        return _sign(value < 0, flags) + prefix + digits
    if verb in "cqU":
        character = chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"
        quoted = _quoted(character).replace('\\"', '"').replace("'", "\\'")
        return {"c": character, "q": f"'{quoted}'", "U": f"U+{value:04X}"}[verb]
    return None


def _of_float(verb: str, value: float, flags: str, precision: int | None) -> str | None:
    if verb in "xX" and precision is None and math.isfinite(value):
        return _hex_float(value, flags, verb)
    if verb in "xXb":
        raise Unsupported(f"%{verb} of a float64")
    if verb not in "veEfFgG":
        return None
    text = float_text(value, "g" if verb == "v" else verb, precision)
    if text == "+Inf" and " " in flags and "+" not in flags:
        return " Inf"
    return text if text[0] in "+-" else _sign(False, flags) + text


def _hex_float(value: float, flags: str, verb: str) -> str:
    mantissa, _, exponent = abs(value).hex().partition("p")
    text = f"{mantissa.rstrip('0').removesuffix('.') if '.' in mantissa else mantissa}p{int(exponent):+03d}"
    return _sign(math.copysign(1, value) < 0, flags) + (text.upper() if verb == "X" else text)


def _of_text(verb: str, text: str, flags: str, precision: int | None) -> str | None:
    if precision is not None:
        text = text[:precision]
    match verb:
        case "s" | "v":
            return text
        case "q":
            return f"`{text}`" if "#" in flags and "`" not in text else quote(text)
        case "x" | "X":
            digits = text.encode().hex()
            return digits.upper() if verb == "X" else digits
    return None


def _sign(negative: bool, flags: str) -> str:
    return "-" if negative else "+" if "+" in flags else " " if " " in flags else ""


def _padded(text: str, flags: str, width: int | None, *, numeric: bool) -> str:
    if width is None:
        return text
    if width < 0 or "-" in flags:
        return text.ljust(abs(width))
    if "0" in flags and not (numeric and text.lstrip("+-") in ("Inf", "NaN")):
        if numeric and text[:1] in ("+", "-", " "):
            return text[0] + text[1:].rjust(width - 1, "0")
        return text.rjust(width, "0")
    return text.rjust(width)
