"""The topology drawn: for graphviz, as SVG, as a page that needs nothing else.

layout.py  where every node stands: a circle a part, parts that do not hang together apart
dot.py     the graphviz language
svg.py     the picture
page.py    the picture in a page, with the same in words below it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdiag.views.topology import Graph


def draw(graph: Graph, fmt: str) -> str:
    """The graph as text in ``dot``, ``svg`` or ``html``; equal graphs give equal texts."""
    if fmt == "dot":
        from meshdiag.render.graph.dot import to_dot

        return to_dot(graph)
    if fmt == "svg":
        from meshdiag.render.graph.svg import to_svg

        return '<?xml version="1.0" encoding="UTF-8"?>\n' + to_svg(graph) + "\n"
    from meshdiag.render.graph.page import to_page

    return to_page(graph)
