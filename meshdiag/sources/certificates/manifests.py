"""Certificates in Kubernetes' files: Secrets, ConfigMaps and lists of them, and kubeconfig.

A manifest is YAML or JSON (which YAML contains), also several documents in one file. Values that hold no certificate
are passed over; a private key is decoded no further than to see that it is none.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.sources.certificates.certificate import Found
from meshdiag.sources.certificates.containers import MOST_BINARY, looks_binary, read_bytes
from meshdiag.sources.certificates.opening import Unreadable, open_regular
from meshdiag.yamltree import YamlError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.yamltree import Node

LONGEST_MANIFEST = 8 * 1024 * 1024
MOST_ENTRIES = 2000
"""Entries read of one manifest."""
_YAML_KEY = re.compile(rb"""(?m)^[ \t-]*["']?(?:apiVersion|kind)["']?[ \t]*:""")
_JSON_KEY = re.compile(rb'"(?:apiVersion|kind)"[ \t\r\n]{0,8}:')
_BLOCK = re.compile(rb"(?m)^-----BEGIN ")
_TLS_KEY = "tls.crt"


def looks_like_manifest(head: bytes) -> bool:
    """Whether a file that begins so is a manifest: ``apiVersion`` or ``kind`` as a key, before any PEM block that
    stands at the beginning of a line."""
    is_json = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    found = (_JSON_KEY if is_json else _YAML_KEY).search(head)
    block = _BLOCK.search(head)
    return found is not None and (block is None or found.start() < block.start())


def read_manifest(text: bytes, path: str, password: bytes | None) -> Iterator[Found]:
    """What the Secrets, ConfigMaps and kubeconfigs in this text hold; one ``Found`` an entry."""
    try:
        roots = read_yaml(text.decode("utf-8-sig", "replace"))
    except YamlError as error:
        yield Found(path, "file", trouble=f"line {error.line}: {error.message}")
        return
    count = 0
    for node in _objects(roots):
        kind = _text(node, "kind")
        if kind == "Config":
            entries = _of_kubeconfig(node, path)
        elif kind in ("Secret", "ConfigMap"):
            entries = _of_secret(node, path, kind, password)
        else:
            continue
        for found in entries:
            count += 1
            if count > MOST_ENTRIES:
                yield Found(path, "file", trouble=f"it holds more than {MOST_ENTRIES:,} entries; the first were read")
                return
            yield found


def _objects(roots: list[Node]) -> Iterator[Node]:
    """Every object, those of lists included."""
    for root in roots:
        if _text(root, "kind").endswith("List") and (items := _get(root, "items")) is not None:
            yield from items.items
        else:
            yield root


def _get(node: Node | None, key: str) -> Node | None:
    pairs = node.pairs if node is not None else []
    return next((value for name, value in pairs if name.text == key), None)


def _text(node: Node | None, *keys: str) -> str:
    for key in keys:
        node = _get(node, key)
    return (node.text if node is not None else None) or ""


def _of_secret(node: Node, path: str, kind: str, password: bytes | None) -> Iterator[Found]:
    metadata = _get(node, "metadata")
    place = f"{path}#{_text(metadata, 'namespace') or 'default'}/{_text(metadata, 'name')}"
    values = list(_values(node, encoded=kind == "Secret"))
    if _text(node, "type") == "kubernetes.io/tls" and _TLS_KEY not in (name for name, _ in values):
        yield Found(f"{place}/{_TLS_KEY}", "secret", trouble=f"a secret of type kubernetes.io/tls without {_TLS_KEY}")
    for name, value in values:
        source = f"{place}/{name}"
        if value is None:
            if name.endswith((".crt", ".pem", ".cer", ".p12")):
                yield Found(source, kind.lower(), trouble="its value is not base64")
            continue
        if b"-----BEGIN " not in value and not looks_binary(value):
            if name == _TLS_KEY:
                yield Found(source, kind.lower(), trouble="it holds no certificate")
            continue
        contents = read_bytes(value, password)
        if contents.chain or contents.trouble or name == _TLS_KEY:
            yield Found(
                source,
                kind.lower(),
                contents.chain,
                trouble=contents.trouble or ("" if contents.chain else "it holds no certificate"),
            )


def _values(node: Node, *, encoded: bool) -> Iterator[tuple[str, bytes | None]]:
    """Names and values; None for what should be base64 and is not."""
    for section, is_encoded in (("data", encoded), ("binaryData", True), ("stringData", False)):
        entries = _get(node, section)
        for name, value in entries.pairs if entries is not None else ():
            text = value.text or ""
            yield name.text or "", _decoded(text) if is_encoded else text.encode()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _of_kubeconfig(node: Node, path: str) -> Iterator[Found]:
    for section, inner, field in (
        ("clusters", "cluster", "certificate-authority"),
        ("users", "user", "client-certificate"),
    ):
        entries = _get(node, section)
        for entry in entries.items if entries is not None else ():
            body = _get(entry, inner)
            source = f"{path}#{section}/{_text(entry, 'name')}"
            if data := _text(body, f"{field}-data"):
                yield _of_data(source, data)
            elif file := _text(body, field):
                yield _of_reference(source, Path(path).parent / Path(file).expanduser())


def _of_data(source: str, data: str) -> Found:
    decoded = _decoded(data)
    if decoded is None:
        return Found(source, "kubeconfig", trouble="its value is not base64")
    return _of_bytes(source, decoded)


def _of_reference(source: str, path: Path) -> Found:
    try:
        with open_regular(path) as file:
            return _of_bytes(source, file.read(MOST_BINARY))
    except Unreadable as error:
        return Found(source, "kubeconfig", trouble=f"it names the file {path}: {error}")


def _of_bytes(source: str, data: bytes) -> Found:
    contents = read_bytes(data)
    trouble = contents.trouble or ("" if contents.chain else "it holds no certificate")
    return Found(source, "kubeconfig", contents.chain, trouble=trouble)
