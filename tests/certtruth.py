"""Real certificates with their ground truth, read in place: what OpenSSL prints of each of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "certs"


def need_certificates() -> Path:
    """Their folder. Skip where they are not at hand, fail in CI."""
    if not FOLDER.is_dir():
        reason = f"the certificates with ground truth are not at hand ({FOLDER})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return FOLDER


def truth() -> dict[str, list[dict[str, Any]]]:
    """Per file, in order, what is known of each certificate."""
    return json.loads((need_certificates() / "truth.json").read_text())


def chains() -> dict[str, dict[str, str]]:
    """Per host a moment at which its recorded chain verified."""
    return json.loads((need_certificates() / "online-chains" / "expected.json").read_text())
