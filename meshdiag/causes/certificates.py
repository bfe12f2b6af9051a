"""What several findings about certificates come from: a reload that was forgotten, an authority that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.causes import cause
from meshdiag.causes.clues import listed, on, references
from meshdiag.model import Cause, Verdict

if TYPE_CHECKING:
    from meshdiag.causes.clues import Clues

MANY = 3
"""Nodes of which one authority's end, or a wrong one, makes one cause."""


@cause(confidence=0.92)
def not_reloaded(clues: Clues) -> Cause | None:
    """The metric, which reads the file, promises more than the node keeps on the wire."""
    stale = [clue for clue in clues.bad("certs.metric-truth") if "not reloaded" in clue.finding.message]
    names = list(dict.fromkeys(clue.who for clue in stale))
    if not names:
        return None
    ending = [clue for clue in clues.bad("certs.expiry") if clue.who in names]
    serve = "serves" if len(names) == 1 else "serve"
    urgent = ", which is about to end or has ended" if ending else ""
    return Cause(
        f"{listed(names)} still {serve} the certificate from before the renewal{urgent}",
        references([*stale, *ending]),
        on(
            names[0],
            "'systemctl reload-or-restart agent-mesh'",
            "make the node load its certificate, then meshdiag certs",
        ),
    )


@cause(confidence=0.75)
def wrong_authority(clues: Clues) -> Cause | None:
    """No certificate at all leads to the roots: those are the wrong ones, or the mesh has moved to a new authority."""
    result = clues.results.get("certs.chain")
    bad = clues.bad("certs.chain")
    if result is None or len(bad) < MANY or any(one.verdict is Verdict.PASS for one in result.findings):
        return None
    return Cause(
        "not one certificate leads to the roots in use: they are not those that the mesh's certificates come from",
        references(bad[:MANY]),
        "name the authority that signs them now: meshdiag certs --ca-file FILE, or peer_ca_file in the context",
    )
