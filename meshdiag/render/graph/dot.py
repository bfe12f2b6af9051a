"""The topology in the language of graphviz: ``meshdiag peers --graph -o dot | dot -Tsvg``.

Source: https://graphviz.org/doc/info/lang.html. Names come from outside: every one of them is a quoted string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.model import Verdict
from meshdiag.render.graph.colours import EDGE, FILL, PEN, SHAPES
from meshdiag.render.safe import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.views.topology import Edge, Graph, Vertex


def to_dot(graph: Graph) -> str:
    """The graph as one undirected graph; a link that works one way alone has an arrow."""
    layout = "circo" if len(graph.parts) < 2 else "fdp"  # of the two only fdp keeps clusters apart
    lines = [
        "graph mesh {",
        f"  graph [label={_quoted(graph.title)}, labelloc=t, layout={layout}, overlap=false];",
        '  node [style=filled, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
        *_nodes(graph),
        *(f"  {_edge(edge)}" for edge in graph.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _nodes(graph: Graph) -> Iterator[str]:
    """The nodes, in a cluster each where the graph does not hang together."""
    by_name = {one.name: one for one in graph.vertices}
    if len(graph.parts) < 2:
        yield from (f"  {_node(one)}" for one in graph.vertices)
        return
    for number, part in enumerate(graph.parts, 1):
        yield f"  subgraph cluster_{number} {{"
        yield f'    label="part {number}: {len(part)} node{"" if len(part) == 1 else "s"}";'
        yield from (f"    {_node(by_name[name])}" for name in part)
        yield "  }"


def _node(one: Vertex) -> str:
    said = f"{one.name}\n{one.verdict.upper()}" if one.verdict is not Verdict.PASS else one.name
    about = ": ".join(part for part in (one.instance, one.trouble) if part)
    shape = SHAPES.get(one.role, SHAPES[""])
    return (
        f"{_quoted(one.name)} [label={_quoted(said)}, shape={shape}, fillcolor={_quoted(FILL[one.verdict])}, "
        f"tooltip={_quoted(about)}];"
    )


def _edge(edge: Edge) -> str:
    attributes = [f"color={_quoted(EDGE[edge.verdict])}", f"penwidth={PEN[edge.verdict]:g}"]
    if edge.label:
        attributes.append(f"label={_quoted(edge.label)}")
    if edge.verdict is Verdict.FAIL:
        attributes.append("style=dashed")
    if edge.state == "one-way":
        attributes.append("dir=forward")
    return f"{_quoted(edge.one)} -- {_quoted(edge.other)} [{', '.join(attributes)}];"


def _quoted(text: str) -> str:
    """A quoted string: what is outside is harmless and on one line, a line break of our own stays one."""
    lines = [one_line(line, 200).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n", 1)]
    return '"' + "\\n".join(lines) + '"'
