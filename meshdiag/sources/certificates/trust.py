"""The roots that chains must lead to: the system's, or those of a file or folder."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.sources.certificates.certificate import SYSTEM, Certificate, Trust
from meshdiag.sources.certificates.files import read_paths

if TYPE_CHECKING:
    from pathlib import Path


def load_trust(ca_file: Path | None = None) -> Trust:
    """The certificates of ``ca_file`` (a file or a folder, in any form that ``read_paths`` reads), or else the
    system's roots: where OpenSSL has none, those of certifi.

    Raises ``UsageError`` where the file holds no certificate.
    """
    if ca_file is None:
        return Trust(_roots(_system()), SYSTEM)
    founds = list(read_paths([str(ca_file)]))
    roots = tuple(dict.fromkeys(one for found in founds for one in found.chain if isinstance(one, Certificate)))
    if not roots:
        why = next((found.trouble for found in founds if found.trouble), "it holds no certificate")
        raise UsageError(f"no root can be read from {ca_file}: {why}", hint="name a file with the CA's certificate")
    return Trust(roots, f"the roots in {ca_file}")


def _system() -> str:
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None:
        return paths.cafile
    if paths.capath is not None:
        return paths.capath
    import certifi

    return certifi.where()


def _roots(path: str) -> tuple[Certificate, ...]:
    return tuple(one for found in read_paths([path]) for one in found.chain if isinstance(one, Certificate))
