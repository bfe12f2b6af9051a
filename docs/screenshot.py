"""Makes docs/health.svg: what ``meshdiag health`` prints for a lab with a slow link and a node down.

Run: python docs/screenshot.py   (needs Debian's prometheus and prometheus-alertmanager)
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 84
COMMAND = ("health",)
LAB = ("--fault", "slow-consensus", "--fault", "node-down", "--with", "prometheus,alertmanager")


def main() -> None:
    """Run the program in the lab with colours on, and draw what it printed."""
    meshdiag = [sys.executable, "-m", "meshdiag"]
    printed = subprocess.run(
        [*meshdiag, "lab", "run", *LAB, "--", *meshdiag, *COMMAND],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), " ".join(("meshdiag", *COMMAND))))
    console.print(Text.from_ansi(printed))
    svg = console.export_svg(title="meshdiag")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # a picture fetches no fonts
    svg = svg.replace("Fira Code", "DejaVu Sans Mono").replace("<text ", '<text xml:space="preserve" ')
    (Path(__file__).parent / "health.svg").write_text(svg)


if __name__ == "__main__":
    main()
