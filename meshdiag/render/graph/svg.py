"""The topology as a picture: SVG that stands for itself and can be read aloud.

It holds a title and a description; every node and link has a title of its own, and names stand beside the nodes.
"""

from __future__ import annotations

from html import escape
from math import cos, hypot, sin
from typing import TYPE_CHECKING

from meshdiag.model import Verdict
from meshdiag.render.graph.colours import EDGE, FILL, PEN, SHAPES, SIGN
from meshdiag.render.graph.layout import layout
from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.render.graph.layout import Layout, Spot
    from meshdiag.views.topology import Edge, Graph, Vertex

SIZE = 13.0
"""Half the width of a node."""
FEW = 12
"""So many links may all bear their times; of more only those with trouble do."""
CROWD = 8
"""More links with trouble than this are drawn thin, and bear no words: they are one trouble."""
HEAD = 28.0


def to_svg(graph: Graph) -> str:
    """One ``svg`` element."""
    placed = layout(graph)
    width, height = max(placed.width, 480.0), placed.height + HEAD + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="13">',
        f'<title id="title">{_text(graph.title)}</title>',
        f'<desc id="desc">{_text(describe(graph))}</desc>',
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="{EDGE[Verdict.FAIL]}"/></marker>'
        "</defs>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
        f'<text x="16" y="22" font-size="15" font-weight="bold">{_text(graph.title)}</text>',
        f'<g transform="translate(0 {HEAD:.0f})">',
        *_links(graph, placed),
        *(_node(one, placed.spots[one.name]) for one in graph.vertices),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines)


def describe(graph: Graph) -> str:
    """The graph in a sentence or two."""
    if not graph.edges:
        return f"{len(graph.vertices)} nodes; no link between them is known."
    bad = [edge for edge in graph.edges if edge.verdict is not Verdict.PASS]
    parts = "in one piece" if len(graph.parts) < 2 else f"in {len(graph.parts)} parts that do not hang together"
    troubled = [one.name for one in graph.vertices if one.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN)]
    words = f"{len(graph.vertices)} nodes {parts}; {len(graph.edges)} links, {len(bad)} of them slow or broken."
    if troubled:
        more = f" and {len(troubled) - 10} more" if len(troubled) > 10 else ""
        words += f" In trouble: {', '.join(troubled[:10])}{more}."
    return words


def _links(graph: Graph, placed: Layout) -> Iterator[str]:
    """Lines, those without trouble below the others; then their words, above all lines."""
    order = sorted(graph.edges, key=lambda edge: edge.verdict.severity)
    crowded = sum(edge.verdict is not Verdict.PASS for edge in order) > CROWD
    for edge in order:
        yield _line(edge, placed.spots[edge.one], placed.spots[edge.other], crowded)
    for edge in order:
        bears = len(order) <= FEW if edge.verdict is Verdict.PASS else not crowded
        if edge.label and bears:
            yield _word(edge, placed.spots[edge.one], placed.spots[edge.other])


def _line(edge: Edge, one: Spot, other: Spot, crowded: bool) -> str:
    length = hypot(other.x - one.x, other.y - one.y) or 1.0
    stop = SIZE / length if edge.state == "one-way" else 0.0  # the arrow ends where the node begins
    x, y = other.x - (other.x - one.x) * stop, other.y - (other.y - one.y) * stop
    look = [f'stroke="{EDGE[edge.verdict]}"', f'stroke-width="{1.0 if crowded else PEN[edge.verdict]:g}"']
    if edge.verdict is Verdict.FAIL:
        look.append('stroke-dasharray="6 4"')
    if edge.state == "one-way":
        look.append('marker-end="url(#arrow)"')
    return (
        f'<line x1="{one.x:.1f}" y1="{one.y:.1f}" x2="{x:.1f}" y2="{y:.1f}" {" ".join(look)}>'
        f"<title>{_text(sentence(edge))}</title></line>"
    )


def sentence(edge: Edge) -> str:
    """A link in words."""
    way = {"up": "and", "reported": "and", "one-way": "to"}.get(edge.state, "and")
    state = {"up": "", "reported": "connected", "one-way": "works this way alone", "down": "no way through"}
    words = [state.get(edge.state, edge.state), edge.label]
    return f"{edge.one} {way} {edge.other}: {', '.join(word for word in words if word) or 'connected'}"


def _word(edge: Edge, one: Spot, other: Spot) -> str:
    """The label of a link, a third of the way along it: in the middle of a circle all links meet."""
    x, y = one.x + (other.x - one.x) * 0.3, one.y + (other.y - one.y) * 0.3
    colour = "#37474f" if edge.verdict is Verdict.PASS else "#8e0000"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" dy="4" text-anchor="middle" font-size="11" fill="{colour}" stroke="#fff" '
        f'stroke-width="3" paint-order="stroke">{_text(edge.label)}</text>'
    )


def _node(one: Vertex, spot: Spot) -> str:
    """A node's sign, and its name outside of the circle."""
    about = ", ".join(part for part in (one.role, one.instance, one.verdict.upper(), one.trouble) if part)
    sign = SIGN[one.verdict]
    inside = (
        f'<text x="{spot.x:.1f}" y="{spot.y:.1f}" dy="5" text-anchor="middle" font-weight="bold">{sign}</text>'
        if sign
        else ""
    )
    sideways = cos(spot.angle)
    anchor = "middle" if abs(sideways) < 0.2 else "start" if sideways > 0 else "end"
    x = spot.x + (SIZE + 7) * sideways
    y = spot.y + (SIZE + 12) * sin(spot.angle) + 4
    name = f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_text(one.name, 40)}</text>'
    return f"<g><title>{_text(f'{one.name}: {about}')}</title>{_shape(one, spot)}{inside}{name}</g>"


def _shape(one: Vertex, spot: Spot) -> str:
    look = f'fill="{FILL[one.verdict]}" stroke="#263238" stroke-width="{2.5 if SIGN[one.verdict] else 1.2}"'
    x, y = spot.x, spot.y
    shape = SHAPES.get(one.role, SHAPES[""])
    if shape == "box":
        return f'<rect x="{x - SIZE:.1f}" y="{y - SIZE:.1f}" width="{2 * SIZE:g}" height="{2 * SIZE:g}" {look}/>'
    if shape == "diamond":
        far = SIZE * 1.25
        points = f"{x:.1f},{y - far:.1f} {x + far:.1f},{y:.1f} {x:.1f},{y + far:.1f} {x - far:.1f},{y:.1f}"
        return f'<polygon points="{points}" {look}/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{SIZE:g}" {look}/>'


def _text(outside: str, limit: int = 300) -> str:
    """Outside text as XML may hold it."""
    return escape(one_line(outside, limit))
