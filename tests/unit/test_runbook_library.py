"""The runbook library: pages are found, read, and refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import MeshdiagError, UsageError
from meshdiag.runbook import library

GOOD = """---
title: Nodes are down
alerts: [MeshNodeDown, 'Watchdog']
checks: [nodes.up]
# a comment
severity: critical
owner: mesh
---

# Nodes are down
Text.
"""


def test_every_shipped_page_can_be_read():
    """A page that ships has a title, an owner and text."""
    assert library.names()
    for name in library.names():
        page = library.read(name)
        assert page.title and page.owner and page.text.strip(), name


def test_front_matter_is_read(tmp_path):
    """Keys, lists, quotes and comments of the front matter are understood; the text starts below it."""
    (tmp_path / "node-down.md").write_text(GOOD)
    page = library.read("node-down", tmp_path)
    assert (page.title, page.severity, page.owner) == ("Nodes are down", "critical", "mesh")
    assert page.alerts == ("MeshNodeDown", "Watchdog")
    assert page.checks == ("nodes.up",)
    assert page.text.startswith("\n# Nodes")
    assert GOOD.split("\n")[page.first_line - 1 :] == page.text.split("\n")


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path):
    """A page saved on Windows is the same page."""
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert library.read("a", tmp_path).title == "Nodes are down"


@pytest.mark.parametrize("name", ["no-such", "../secret", "/etc/passwd", "", "a\0b", "Node-Down"])
def test_an_unknown_name_is_a_sentence(tmp_path, name):
    """A name that is none, or that would leave the folder, is refused before any file is opened."""
    (tmp_path / "node-down.md").write_text(GOOD)
    with pytest.raises(UsageError, match="no runbook is called"):
        library.read(name, tmp_path)


def test_a_typing_slip_gets_the_nearest_name(tmp_path):
    """The nearest name is offered."""
    (tmp_path / "node-down.md").write_text(GOOD)
    with pytest.raises(UsageError, match="did you mean node-down"):
        library.read("node-dwon", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# no front matter\n", "line 1: expected '---'"),
        ("---\ntitle: x\n", "never closed"),
        ("---\nalerts: [a]\n---\n", "no title"),
        ("---\ntitle: x\nseverity: awful\n---\n", "severity is 'awful', expected critical, warning, info"),
        ("---\ntitle: x\nalerts: MeshNodeDown\n---\n", "line 3: alerts is a list on one line"),
        ("---\ntitle: [x]\n---\n", "line 2: title is one value"),
        ("---\ntitle: x\ntitle: y\n---\n", "line 3: title is given twice"),
        ("---\ntitle: x\ncommand: rm\n---\n", "line 3: 'command: rm' is none of title"),
    ],
)
def test_a_page_that_cannot_be_used_names_place_and_expectation(tmp_path, text, says):
    """The sentence names the file, the line and what was expected."""
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(MeshdiagError) as caught:
        library.read("page", tmp_path)
    assert says in str(caught.value)
    assert "page.md" in str(caught.value)


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path):
    """Binary rubbish and huge files become sentences, not tracebacks."""
    (tmp_path / "binary.md").write_bytes(b"---\n\xff\xfe\x00")
    (tmp_path / "huge.md").write_bytes(b"-" * (library.PAGE_BYTES + 1))
    with pytest.raises(MeshdiagError, match="not UTF-8"):
        library.read("binary", tmp_path)
    with pytest.raises(MeshdiagError, match="too large"):
        library.read("huge", tmp_path)


@given(st.text(max_size=300))
def test_any_text_is_a_page_or_a_sentence(text):
    """Whatever stands in a file, reading it gives a page or one sentence."""
    path = library.Path("page.md")
    for source in (text, f"---\n{text}", f"---\ntitle: x\n{text}\n---\n"):
        try:
            assert library.parse("page", path, source).title
        except MeshdiagError as error:
            assert "page.md" in str(error)
