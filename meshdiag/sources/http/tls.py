"""TLS: whom to trust, and who we are.

The system's CA store is used, as curl does, so that evidence commands behave alike; where Python knows no
such store, certifi's bundle. Loading a store costs 10 to 20 ms, so contexts are kept per set of files.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.context import Endpoint


class TlsFileError(Exception):
    """A CA file, certificate or key that cannot be used: one sentence."""


def ssl_context(endpoint: Endpoint) -> ssl.SSLContext:
    """The context for an ``https://`` endpoint, shared by all that name the same files.

    Raises ``TlsFileError``. Not to be called for ``http://``, where it would cost time for nothing.
    """
    return _context(endpoint.ca_file, endpoint.cert_file, endpoint.key_file)


@lru_cache(maxsize=64)
def _context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    context = _trusting(ca_file)
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password=_refuse_passphrase)
        except _Encrypted:
            raise TlsFileError(f"the key of {cert_file} is encrypted, and no passphrase is asked for here") from None
        except ssl.SSLError as error:
            raise TlsFileError(
                f"certificate {cert_file} and key {key_file or cert_file} cannot be used "
                f"({error.reason or 'not PEM, or not a pair'})"
            ) from error
        except OSError as error:
            raise TlsFileError(f"cannot read certificate {cert_file} or its key: {error.strerror}") from error
    elif key_file is not None:
        raise TlsFileError(f"key_file {key_file} is set without cert_file")
    return context


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        paths = ssl.get_default_verify_paths()
        if paths.cafile is None and paths.capath is None:
            import certifi

            return ssl.create_default_context(cafile=certifi.where())
        return ssl.create_default_context()
    try:
        if ca_file.is_dir():
            return ssl.create_default_context(capath=str(ca_file))
        return ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError as error:
        raise TlsFileError(f"ca_file {ca_file} holds no certificate in PEM form") from error
    except OSError as error:
        raise TlsFileError(f"cannot read ca_file {ca_file}: {error.strerror}") from error


class _Encrypted(Exception):
    pass


def _refuse_passphrase() -> str:
    """OpenSSL would otherwise ask on the terminal and wait."""
    raise _Encrypted
