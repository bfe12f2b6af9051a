"""The openssl commands that show a certificate again, to be pasted into a POSIX shell."""

from __future__ import annotations

import ipaddress
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.sources.certificates.endpoints import Wanted

FIELDS = "openssl x509 -noout -subject -issuer -dates -serial -fingerprint -sha256 -ext subjectAltName"
LOOK_S = 10
"""A server that hangs holds up ``s_client`` for ever."""


def show_served(wanted: Wanted, position: int = 0) -> str:
    """The certificate at a place of the chain that a server sends."""
    chain = " -showcerts" if position else ""
    return f"{_s_client(wanted)}{chain} </dev/null 2>/dev/null | {_pick(position)}{FIELDS}"


def verify_served(wanted: Wanted, host: str, ca_file: Path | None) -> str:
    """What openssl thinks of the chain and the name that a server's certificate is for."""
    roots = f" -CAfile {quote(str(ca_file))}" if ca_file is not None else ""
    name = f" -verify_{'ip' if is_number(host) else 'hostname'} {quote(host)}" if host else ""
    return f"{_s_client(wanted)}{roots}{name} </dev/null 2>/dev/null | grep 'Verify return code'"


def show_in_file(source: str, kind: str, position: int = 0) -> str:
    """The certificate at a place of a file. ``source`` is a path, in manifests ``path#namespace/name/key``."""
    path, _, entry = source.rpartition("#") if kind in _IN_MANIFESTS else (source, "", "")
    path = path or source
    if kind == "der":
        return f"{FIELDS} -inform DER -in {quote(path)}"
    if kind == "pkcs12":
        return f"openssl pkcs12 -nokeys -in {quote(path)} | {_pick(position)}{FIELDS}"
    if kind in _IN_MANIFESTS:
        key = quote(f"s|^ *{entry.rpartition('/')[2]}: *||p")
        return f"sed -n {key} {quote(path)} | base64 -d | {_pick(position)}{FIELDS}"
    if position:
        return f"{_pick(position).removesuffix(' | ')} {quote(path)} | {FIELDS}"
    return f"{FIELDS} -in {quote(path)}"


_IN_MANIFESTS = ("secret", "kubeconfig")
"""Kinds of which the certificate stands in one line of a YAML file, in base64."""


def _s_client(wanted: Wanted) -> str:
    parts = [f"timeout {LOOK_S} openssl s_client -connect {quote(wanted.address)}"]
    if wanted.server_name and not is_number(wanted.server_name):
        parts.append(f"-servername {quote(wanted.server_name)}")
    if wanted.starttls:
        parts.append(f"-starttls {quote(wanted.starttls)}")
    if wanted.client_cert is not None:
        cert, key = wanted.client_cert
        parts.append(f"-cert {quote(cert)} -key {quote(key)}")
    return " ".join(parts)


def _pick(position: int) -> str:
    """What lets one certificate of several through."""
    return f"awk '/BEGIN CERT/{{n++}} n=={position + 1}' | " if position else ""


def is_number(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    return True
