"""The topology as a page of HTML that needs nothing else: no script, no network, the picture and the same in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from meshdiag.model import Verdict
from meshdiag.render.graph.colours import FILL
from meshdiag.render.graph.svg import describe, to_svg
from meshdiag.render.safe import one_line
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.views.topology import Edge, Graph, Vertex

STYLE = """
body { font-family: sans-serif; margin: 1rem 2rem; color: #212121; background: #fff }
svg { max-width: 100%; height: auto; border: 1px solid #cfd8dc }
table { border-collapse: collapse; margin: 0 0 1.5rem }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #eceff1; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.verdict { padding: 0 .4rem; font-weight: bold }
"""
MOST_ROWS = 500


def to_page(graph: Graph) -> str:
    """A whole document."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_text(graph.title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{_text(graph.title)}</h1>",
            f"<p>{_verdict(graph.verdict)} {_text(describe(graph), 600)}</p>",
            to_svg(graph),
            "<p>Squares are bootstrap nodes, diamonds aggregators, circles trainers. A thick red line is slow, a "
            "dashed one broken; an arrow points the one way that works.</p>",
            *_nodes(graph),
            *_links(graph),
            "</body>",
            "</html>",
            "",
        ]
    )


def _nodes(graph: Graph) -> Iterator[str]:
    yield "<h2>Nodes</h2>"
    ordered = sorted(graph.vertices, key=lambda one: -one.verdict.severity)
    yield from _table(("verdict", "node", "role", "instance", "what is the matter"), map(_node, ordered), len(ordered))


def _node(one: Vertex) -> str:
    trouble = "" if one.verdict is Verdict.PASS else one.trouble
    cells = [_verdict(one.verdict), *map(_text, (one.name, one.role, one.instance, trouble))]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _links(graph: Graph) -> Iterator[str]:
    yield "<h2>Links</h2>"
    ordered = sorted(graph.edges, key=lambda edge: (-edge.verdict.severity, -(edge.duration_s or 0.0)))
    titles = ("verdict", "from", "to", "works", "takes", "connected for", "what is the matter", "told by")
    yield from _table(titles, map(_link, ordered), len(ordered))


def _link(edge: Edge) -> str:
    numbers = [_seconds(edge.duration_s), _seconds(edge.connected_s)]
    return (
        f"<tr><td>{_verdict(edge.verdict)}</td><td>{_text(edge.one)}</td><td>{_text(edge.other)}</td>"
        f"<td>{_text(str(edge.state))}</td>" + "".join(f'<td class="number">{one}</td>' for one in numbers) +
        f"<td>{_text(edge.trouble)}</td><td>{_text(', '.join(edge.told_by))}</td></tr>"
    )  # fmt: skip


def _table(titles: tuple[str, ...], rows: Iterator[str], count: int) -> Iterator[str]:
    """A table with a heading row; a very long one is cut, and says so."""
    yield "<table><thead><tr>" + "".join(f'<th scope="col">{title}</th>' for title in titles) + "</tr></thead><tbody>"
    yield from (row for row, _ in zip(rows, range(MOST_ROWS), strict=False))
    yield "</tbody></table>"
    if count > MOST_ROWS:
        yield f"<p>and {count - MOST_ROWS:,} more; -o json has them all</p>"


def _verdict(verdict: Verdict) -> str:
    return f'<span class="verdict" style="background: {FILL[verdict]}">{verdict.upper()}</span>'


def _seconds(value: float | None) -> str:
    return "" if value is None else escape(human(value, "s"))


def _text(outside: str, limit: int = 300) -> str:
    return escape(one_line(outside, limit))
