"""How long meshdiag takes to say its version and its help, and to look through a small log, beside what importing
click alone costs.

Run: python tests/bench/startup.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from timing import compare

BASELINE = [sys.executable, "-c", "import click"]
MESHDIAG = str(Path(sys.executable).with_name("meshdiag"))

if __name__ == "__main__":
    compare([MESHDIAG, "--version"], BASELINE, limit=2.0, runs=21)
    compare([MESHDIAG, "--help"], BASELINE, limit=2.5, runs=21)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "small.log"
        lines = [f"2026-03-09T03:{n // 60:02}:{n % 60:02}.000Z ERROR storage block={n} lost" for n in range(600)]
        log.write_text("\n".join([*lines, ""]))
        home = {"XDG_CONFIG_HOME": folder}
        compare([MESHDIAG, "logs", str(log), "--level", "error"], BASELINE, limit=2.5, runs=21, environment=home)
    compare([MESHDIAG, "logs", "--help"], BASELINE, limit=2.5, runs=21)
