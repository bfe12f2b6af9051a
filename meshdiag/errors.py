"""What can go wrong, as a tree.

    MeshdiagError                     one clear sentence for a person, and an exit code
    ├── UsageError                    the command line is wrong (64)
    │   └── ConfigError               a configuration file is wrong: file, key, what was expected (64)
    └── SourceError                   an outside system could not be asked: becomes UNKNOWN in a check (3)
        ├── QueryError                the system answered that the question is wrong, or cannot be answered
        └── LeftOut                   the user asked not to look that far: becomes SKIP in a check

Each source translates what the libraries underneath raise, in one place, keeping the original as the cause.
"""

from __future__ import annotations

from enum import StrEnum

from meshdiag.verdict import ExitCode


class MeshdiagError(Exception):
    """Something that a person can be told in one sentence. ``hint`` says what to try."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(MeshdiagError):
    """Wrong usage: an option, an argument, a combination of them."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A configuration file that cannot be used. The message names the file, the key and what was expected."""


class Trouble(StrEnum):
    """Why a source could not be asked. The value is what JSON shows; each has advice of its own."""

    REFUSED = "connection-refused"
    UNKNOWN_HOST = "unknown-host"
    UNREACHABLE = "network-unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    RATE_LIMITED = "rate-limited"
    SERVER_ERROR = "server-error"
    STARTING = "starting"
    REDIRECT = "redirect"
    TOO_LARGE = "too-large"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    WRONG_SERVER = "wrong-server"
    NOT_AVAILABLE = "not-available"
    NOT_CONFIGURED = "not-configured"
    REJECTED = "rejected"
    OTHER = "other"


class SourceError(MeshdiagError):
    """An outside system that could not be asked.

    ``source`` is its name as a person knows it ("Prometheus"), ``where`` the address without credentials.
    ``because`` is the id of the check that answers for it, where one does (``nodes.up``).
    """

    exit_code = ExitCode.UNKNOWN

    def __init__(
        self, message: str, *, trouble: Trouble, source: str = "", where: str = "", hint: str = "", because: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.trouble = trouble
        self.source = source
        self.where = where
        self.because = because


class QueryError(SourceError):
    """The question itself was refused: it does not parse, or cannot be evaluated. ``row`` is the line of the query
    (from 0) at which it is wrong, where the message points at one."""

    row = 0

    def __init__(self, message: str, *, source: str = "", where: str = "", hint: str = "") -> None:
        super().__init__(message, trouble=Trouble.REJECTED, source=source, where=where, hint=hint)


class LeftOut(SourceError):
    """The answer would take a look that the user asked not to take."""

    def __init__(self, message: str, *, source: str = "", hint: str = "") -> None:
        super().__init__(message, trouble=Trouble.NOT_AVAILABLE, source=source, hint=hint)
