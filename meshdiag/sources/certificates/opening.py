"""Opens files that certificates may be in: regular files only, without waiting for anybody."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


class Unreadable(Exception):
    """A file that is not read: a sentence that begins with "it"."""


def open_regular(path: Path) -> BinaryIO:
    """A regular file, opened for reading. Raises ``Unreadable``."""
    try:
        # Without O_NONBLOCK a pipe would be waited for before it could be seen that it is one.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise Unreadable("it does not exist") from None
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None
    except ValueError:
        raise Unreadable("it cannot exist: that is no path") from None
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a folder" if stat.S_ISDIR(mode) else "a device"
        raise Unreadable(f"it is {kind}, not a file")
    return os.fdopen(number, "rb")
