"""The drawn topology: for graphviz, as SVG and as a page; valid, harmless, the same each time."""

from __future__ import annotations

import math
import re
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from meshdiag.model import Verdict
from meshdiag.render.graph import draw
from meshdiag.render.graph.layout import layout
from meshdiag.views.topology import Edge, Graph, Vertex
from tests.binaries import need

HOSTILE = 'evil\x1b[31m"</script><b>&amp;\\N \u202e\nx'

SVG = "{http://www.w3.org/2000/svg}"
WHOLE = Graph(
    "Agent Mesh lab: 4 nodes, 4 links",
    (
        Vertex("bootstrap-1", "bootstrap", "10.0.0.1:9090"),
        Vertex("trainer-1", "trainer", "10.0.0.2:9091", Verdict.WARN, "slow from everybody"),
        Vertex("trainer-2", "trainer", "10.0.0.3:9091", Verdict.FAIL, "nobody reaches it"),
        Vertex(HOSTILE, "aggregator", HOSTILE, Verdict.UNKNOWN, HOSTILE),
    ),
    (
        Edge("bootstrap-1", "trainer-1", "up", Verdict.WARN, 0.4, 60.0, "", ("metrics", "probes")),
        Edge("bootstrap-1", "trainer-2", "one-way", Verdict.FAIL, 0.001, None, "timeout", ("probes",)),
        Edge("trainer-1", "trainer-2", "down", Verdict.FAIL, None, None, HOSTILE, ("probes",)),
        Edge("bootstrap-1", HOSTILE, "reported", Verdict.PASS, None, 3600.0, "", ("metrics",)),
    ),
    Verdict.FAIL,
    (("bootstrap-1", "trainer-1", HOSTILE), ("trainer-2",)),
)  # fmt: skip

_STRING = r'"(?:[^"\\]|\\.)*"'
_WORD = rf"(?:[A-Za-z_]\w*|-?\d+(?:\.\d+)?|{_STRING})"
_ATTRIBUTES = rf"\[{_WORD}={_WORD}(?:, {_WORD}={_WORD})*\]"
_STATEMENT = re.compile(rf"\s*(?:{_STRING}(?: -- {_STRING})?|graph|node|edge) {_ATTRIBUTES};")
_OTHER = re.compile(rf"graph mesh {{|  subgraph cluster_\d+ {{|    label={_STRING};|  }}|}}")


@pytest.mark.parametrize("graph", [WHOLE, Graph("nothing", (), ())], ids=["whole", "empty"])
def test_every_line_of_dot_is_a_statement_of_the_language(graph: Graph) -> None:
    """Strictly: quoted strings alone hold what came from outside, and every bracket is closed."""
    text = draw(graph, "dot")
    for line in text.splitlines():
        assert _STATEMENT.fullmatch(line) or _OTHER.fullmatch(line), line
    assert len(re.findall(r"^ *(?:graph mesh|subgraph \w+) {$", text, re.M)) == len(re.findall(r"^ *}$", text, re.M))
    assert "\x1b" not in text and "\u202e" not in text


def test_graphviz_draws_it() -> None:
    """The real program takes it: each node and link once, the names as they are meant."""
    dot = need("dot")
    drawn = subprocess.run(
        [dot, "-Tsvg", "-Kdot"], input=draw(WHOLE, "dot"), capture_output=True, text=True, timeout=30, check=True
    )
    assert "syntax error" not in drawn.stderr
    root = ElementTree.fromstring(drawn.stdout)
    kinds = [one.get("class") for one in root.iter(f"{SVG}g")]
    assert (kinds.count("node"), kinds.count("edge"), kinds.count("cluster")) == (4, 4, 2)
    assert any('evil\\x1b[31m"' in (text.text or "") for text in root.iter(f"{SVG}text"))


def test_links_look_as_they_are() -> None:
    """A slow link is thick, a broken one dashed, one that works one way alone has an arrow."""
    dot = draw(WHOLE, "dot")
    assert re.search(r'"bootstrap-1" -- "trainer-1" \[color="#c62828", penwidth=4, label="400 ms"\];', dot)
    assert re.search(r'"bootstrap-1" -- "trainer-2" \[.*style=dashed, dir=forward\];', dot)
    lines = list(ElementTree.fromstring(draw(WHOLE, "svg")).iter(f"{SVG}line"))
    assert [line.get("marker-end") for line in lines].count("url(#arrow)") == 1
    assert sum(line.get("stroke-dasharray") is not None for line in lines) == 2
    assert max(float(line.get("stroke-width", "0")) for line in lines) == 4


def test_the_picture_can_be_read_aloud() -> None:
    """It has a title and a description, and so has every node and every link; verdicts are told by signs as well."""
    root = ElementTree.fromstring(draw(WHOLE, "svg"))
    assert root.get("role") == "img" and root.get("aria-labelledby") == "title desc"
    assert root.findtext(f"{SVG}title") == WHOLE.title
    said = root.findtext(f"{SVG}desc") or ""
    assert "2 parts that do not hang together" in said and "3 of them slow or broken" in said
    titles = [one.text or "" for one in root.iter(f"{SVG}title")]
    assert "bootstrap-1 and trainer-1: 400 ms" in titles
    assert "bootstrap-1 to trainer-2: works this way alone, timeout" in titles
    assert any(title.startswith("trainer-2: trainer, 10.0.0.3:9091, FAIL, nobody reaches it") for title in titles)
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"!", "✗", "?", "bootstrap-1", "trainer-1"} <= set(texts)


class Elements(HTMLParser):
    """The elements of a page, and whether each was closed."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    """No script, no address but the namespace, hostile names as text; nodes and links as tables below the picture."""
    page = draw(WHOLE, "html")
    elements = Elements()
    elements.feed(page)
    assert not elements.open
    assert {"svg", "table", "h1"} <= set(elements.found) and not {"script", "b", "link", "img"} & set(elements.found)
    assert set(re.findall(r"https?://[^\"<> ]+", page)) == {"http://www.w3.org/2000/svg"}
    assert 'lang="en"' in page and "default-src 'none'" in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;amp;" in page and "\x1b" not in page and "\u202e" not in page
    assert page.count("<tr>") == 2 + 4 + 4


@pytest.mark.parametrize("fmt", ["dot", "svg", "html"])
def test_equal_graphs_are_drawn_alike(fmt: str) -> None:
    """Two drawings can be compared."""
    assert draw(WHOLE, fmt) == draw(WHOLE, fmt)


@pytest.mark.parametrize("sizes", [(1,), (2,), (7,), (40,), (5, 2), (30, 3, 1, 1), (1,) * 30, (49,), (300, 60)])
def test_no_two_nodes_stand_on_each_other_and_none_outside(sizes: tuple[int, ...]) -> None:
    """Parts stand apart; each node within the picture, at a distance from every other."""
    parts = tuple(tuple(f"p{part}-{place}" for place in range(size)) for part, size in enumerate(sizes))
    vertices = tuple(Vertex(name, "trainer", name) for part in parts for name in part)
    placed = layout(Graph("", vertices, (), parts=parts))
    spots = list(placed.spots.values())
    assert len(spots) == sum(sizes)
    for place, one in enumerate(spots):
        assert 0 < one.x < placed.width and 0 < one.y < placed.height
        assert all(math.hypot(one.x - other.x, one.y - other.y) > 50 for other in spots[place + 1 :])
