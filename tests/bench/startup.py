"""How long meshdiag takes to say its version and its help, beside what importing click alone costs.

Run: python tests/bench/startup.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from timing import compare

BASELINE = [sys.executable, "-c", "import click"]
MESHDIAG = str(Path(sys.executable).with_name("meshdiag"))

if __name__ == "__main__":
    compare([MESHDIAG, "--version"], BASELINE, limit=2.0, runs=21)
    compare([MESHDIAG, "--help"], BASELINE, limit=2.5, runs=21)
