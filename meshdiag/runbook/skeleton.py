"""A page to begin with: the parts that a tired person asks for, and a step of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.errors import UsageError
from meshdiag.runbook.library import is_name

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = """---
title: {title}
alerts: []
checks: []
severity: warning
owner: nobody yet
---

# {title}

**What it means.** What is broken, in two sentences.

**How urgent.** Who notices, and when it gets worse.

## Look

```meshdiag
meshdiag health
nodes.up peers.count
```

```logs
# limit: 20
--level error --since 15m
```

## Do first

What cannot make it worse.

## When a node is down
<!-- when: fail -->

```meshdiag
meshdiag nodes
```

## Over when

```promql
# expect: 1:
# for: 5m
min(up{{job="agent-mesh"}})
```

## Escalate

To whom, with what, after how long.
"""


def write_skeleton(name: str, folder: Path) -> Path:
    """Write ``NAME.md`` into a folder; the answer is its path. Raises ``UsageError`` for a name that is none, for a
    file that is there, and where nothing can be written."""
    if not is_name(name):
        raise UsageError(f"{name[:60]!r} is no name for a page", hint="lower case, digits and hyphens: disk-full")
    path = folder / f"{name}.md"
    title = name.replace("-", " ").capitalize()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEXT.format(title=title))
    except FileExistsError:
        raise UsageError(f"{path} is there already, and is left as it is", hint="choose another name") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
    return path
