"""The few words before TLS in protocols that begin in plain text (STARTTLS), one function each.

Each returns when the server has agreed, and raises ``Declined`` when it has not. A line or an answer is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meshdiag.sources.http.trouble import excerpt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LONGEST_ANSWER = 64 * 1024
LONGEST_SHOWN = 80
"""How much of an answer a sentence quotes."""

_LDAP_REQUEST = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
"""An extended request for StartTLS (RFC 4511, 4.14): message 1."""
_POSTGRES_REQUEST = bytes.fromhex("0000000804d2162f")
"""``SSLRequest`` (PostgreSQL, message formats)."""


class Declined(Exception):
    """The server does not agree to TLS: one sentence."""


class Line(Protocol):
    """A connection, as the dialogues need it. ``receive`` gives nothing (b"") when the server has hung up."""

    async def send(self, data: bytes) -> None:
        """Send all of it."""

    async def receive(self) -> bytes:
        """What has come, at least one byte."""


async def _until(line: Line, is_whole: Callable[[bytes], bool]) -> bytes:
    """What the server says, until it is a whole answer."""
    said = b""
    while not is_whole(said):
        more = await line.receive()
        if not more:
            raise Declined("it hung up before it agreed to TLS")
        said += more
        if len(said) > LONGEST_ANSWER:
            raise Declined("it talks on and on instead of agreeing to TLS")
    return said


def _smtp_whole(said: bytes) -> bool:
    """An answer of SMTP ends with a line whose code is followed by a blank (RFC 5321, 4.2)."""
    if not said.endswith(b"\n"):
        return False
    last = said.rstrip(b"\r\n").rpartition(b"\n")[2]
    return last[3:4] != b"-"


async def smtp(line: Line) -> None:
    """RFC 3207."""
    greeting = await _until(line, _smtp_whole)
    if not greeting.startswith(b"220"):
        raise Declined(f"it does not greet as an SMTP server does: {excerpt(greeting, LONGEST_SHOWN)}")
    await line.send(b"EHLO meshdiag.invalid\r\n")
    abilities = await _until(line, _smtp_whole)
    if b"STARTTLS" not in abilities.upper():
        raise Declined("the SMTP server does not offer STARTTLS")
    await line.send(b"STARTTLS\r\n")
    answer = await _until(line, _smtp_whole)
    if not answer.startswith(b"220"):
        raise Declined(f"the SMTP server declines STARTTLS: {excerpt(answer, LONGEST_SHOWN)}")


async def imap(line: Line) -> None:
    """RFC 9051, 6.2.1."""
    greeting = await _until(line, lambda said: said.endswith(b"\n"))
    if not greeting.startswith(b"* "):
        raise Declined(f"it does not greet as an IMAP server does: {excerpt(greeting, LONGEST_SHOWN)}")
    await line.send(b"a1 STARTTLS\r\n")
    answer = await _until(line, lambda said: said.endswith(b"\n") and (b"\na1 " in said or said.startswith(b"a1 ")))
    if b"a1 OK" not in answer:
        raise Declined(f"the IMAP server declines STARTTLS: {excerpt(answer, LONGEST_SHOWN)}")


async def pop3(line: Line) -> None:
    """RFC 2595, 4."""
    greeting = await _until(line, lambda said: said.endswith(b"\n"))
    if not greeting.startswith(b"+OK"):
        raise Declined(f"it does not greet as a POP3 server does: {excerpt(greeting, LONGEST_SHOWN)}")
    await line.send(b"STLS\r\n")
    answer = await _until(line, lambda said: said.endswith(b"\n"))
    if not answer.startswith(b"+OK"):
        raise Declined(f"the POP3 server declines STLS: {excerpt(answer, LONGEST_SHOWN)}")


async def ldap(line: Line) -> None:
    """RFC 4511, 4.14: the result code of the extended response is 0."""
    from meshdiag.sources.certificates.der import read_value, read_values

    def is_whole(said: bytes) -> bool:
        try:
            read_value(said)
        except ValueError:
            return False
        return True

    await line.send(_LDAP_REQUEST)
    answer = await _until(line, is_whole)
    try:
        _number, response = list(read_values(read_value(answer).content))[:2]
        code = next(read_values(response.content)).content
    except (ValueError, StopIteration):
        raise Declined("it does not answer as an LDAP server does") from None
    if code != b"\0":
        raise Declined(f"the LDAP server declines StartTLS (result {int.from_bytes(code)})")


async def postgres(line: Line) -> None:
    """``SSLRequest``: one letter answers, S for yes."""
    await line.send(_POSTGRES_REQUEST)
    answer = await _until(line, lambda said: bool(said))
    if answer[:1] != b"S":
        raise Declined(
            "the PostgreSQL server has TLS switched off"
            if answer[:1] == b"N"
            else f"it does not answer as a PostgreSQL server does: {excerpt(answer, LONGEST_SHOWN)}"
        )


DIALOGUES: dict[str, Callable[[Line], Awaitable[None]]] = {
    "smtp": smtp,
    "imap": imap,
    "pop3": pop3,
    "ldap": ldap,
    "postgres": postgres,
}
"""By the name that ``openssl s_client -starttls`` knows as well."""
