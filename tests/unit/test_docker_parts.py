"""Docker without an engine: frames, terminals, which containers are meant, where the engine is."""

from __future__ import annotations

import hashlib
import json
import socket
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import ConfigError, UsageError
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.sources.docker import Docker, engine_address
from meshdiag.sources.docker.containers import Container, Wanted, near
from meshdiag.sources.docker.frames import PIECE, FrameCutter, TerminalCutter
from meshdiag.sources.streams.lines import Line
from tests.fakedocker import frame

STAMP = b"2026-11-22T11:29:36.111616207Z "
TAKEN_NS = 1795346976_111616207
TEXTS = st.lists(st.tuples(st.text("ab é\x1b", max_size=20), st.sampled_from([1, 2])), max_size=12)


@given(TEXTS, st.lists(st.integers(0, 2000), max_size=6))
def test_frames_give_the_same_lines_however_they_are_cut(texts: list[tuple[str, int]], cuts: list[int]) -> None:
    """The stream may come in any pieces."""
    stream = b"".join(frame(STAMP + text.encode() + b"\n", channel) for text, channel in texts)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    cutter = FrameCutter()
    lines = [line for start, end in pairwise(places) for line in cutter.feed(stream[start:end])] + cutter.end()
    assert lines == [Line(text.encode(), TAKEN_NS, "stdout" if channel == 1 else "stderr") for text, channel in texts]


@given(st.integers(0, 5 * PIECE))
def test_lines_of_any_length_are_whole_with_and_without_a_terminal(size: int) -> None:
    """The engine's pieces of a long line, each with its stamp, are one line again, and the next line is apart."""
    text = b"x" * size
    pieces = [text[place : place + PIECE] for place in range(0, size, PIECE)] or [b""]
    ended = [*(STAMP + piece for piece in pieces[:-1]), STAMP + pieces[-1] + b"\n", STAMP + b"next\n"]
    frames = FrameCutter()
    assert [line.raw for line in frames.feed(b"".join(map(frame, ended)))] + [line.raw for line in frames.end()] == [
        text,
        b"next",
    ]
    terminal = TerminalCutter()
    raw = b"".join(ended).replace(b"\n", b"\r\n")
    assert [(line.raw, line.taken_ns) for line in terminal.feed(raw)] == [(text, TAKEN_NS), (b"next", TAKEN_NS)]


def test_pieces_of_two_streams_may_interleave() -> None:
    """Each stream's pieces find each other."""
    full = b"o" * PIECE
    cutter = FrameCutter()
    stream = frame(STAMP + full) + frame(STAMP + b"e" * PIECE, 2) + frame(STAMP + b"end\n") + frame(STAMP + b"END\n", 2)
    assert [(line.raw[-4:], line.channel) for line in cutter.feed(stream)] == [(b"oend", "stdout"), (b"eEND", "stderr")]


CONTAINERS = [
    Container("abcd" + "0" * 60, "mesh-trainer-1", labels={"com.docker.compose.service": "trainer", "tier": "edge"}),
    Container("abce" + "0" * 60, "mesh-trainer-2", labels={"com.docker.compose.service": "trainer"}),
    Container("beef" + "0" * 60, "trainer", labels={"tier": "core"}),
    Container("cafe" + "0" * 60, "other"),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(), "mesh-trainer-1 mesh-trainer-2 trainer other"),
        (Wanted(("trainer",)), "trainer"),
        (Wanted(("/other",)), "other"),
        (Wanted(("mesh-*",)), "mesh-trainer-1 mesh-trainer-2"),
        (Wanted(("abcd",)), "mesh-trainer-1"),
        (Wanted(("abc",)), ""),
        (Wanted(labels=("tier",)), "mesh-trainer-1 trainer"),
        (Wanted(labels=("tier=core",)), "trainer"),
        (Wanted(services=("train*",)), "mesh-trainer-1 mesh-trainer-2"),
        (Wanted(("*",), labels=("tier",), services=("trainer",)), "mesh-trainer-1"),
        (Wanted(("other", "beef", "other")), "trainer other"),
    ],
)
def test_words_choose_containers(wanted: Wanted, names: str) -> None:
    """A name before an id before a service; labels all, services any; each container once."""
    assert " ".join(one.name for one in wanted.choose(CONTAINERS)) == names


def test_words_that_choose_nothing_are_known() -> None:
    """A service's name is offered as well as a container's."""
    assert Wanted(("other", "nope", "no*")).missing(CONTAINERS) == ["nope", "no*"]
    assert near("mesh-trainer1", CONTAINERS) == "did you mean mesh-trainer-1 or mesh-trainer-2?"
    assert near("zzz", CONTAINERS) == "there are mesh-trainer-1, mesh-trainer-2, other, trainer"


# where the engine is -------------------------------------------------------------------------------------


def _shown(environ: dict[str, str], host: str = "") -> str:
    address = engine_address(host, environ)
    return address.shown or address.endpoint.url


def test_the_engine_is_found_as_its_command_finds_it(tmp_path: Path) -> None:
    """Flag over DOCKER_HOST over DOCKER_CONTEXT over the context in use over the usual socket."""
    _context(tmp_path, "far", "tcp://10.0.0.1:2376")
    _context(tmp_path, "near", "unix:///near.sock")
    (tmp_path / "config.json").write_text('{"currentContext": "near"}')
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert _shown(environ) == "unix:///near.sock"
    assert _shown({**environ, "DOCKER_CONTEXT": "far"}) == "http://10.0.0.1:2376"
    assert _shown({**environ, "DOCKER_CONTEXT": "default"}) == "unix:///var/run/docker.sock"
    assert _shown({**environ, "DOCKER_CONTEXT": "far", "DOCKER_HOST": "tcp://h:1"}) == "http://h:1"
    assert _shown({**environ, "DOCKER_HOST": "tcp://h:1"}, "unix:///flag.sock") == "unix:///flag.sock"
    assert engine_address("", {**environ, "DOCKER_CONTEXT": "far"}).flags == ("--context", "far")


def _context(folder: Path, name: str, host: str) -> Path:
    place = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / place
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    return folder / "contexts" / "tls" / place / "docker"


def test_a_contexts_certificates_are_used(tmp_path: Path) -> None:
    """A context with TLS files is asked over https with them; so is DOCKER_TLS_VERIFY with DOCKER_CERT_PATH."""
    tls = _context(tmp_path, "secure", "tcp://10.0.0.1:2376")
    tls.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tls / name).write_text("x")
    for environ in (
        {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "secure"},
        {"DOCKER_HOST": "tcp://10.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tls)},
    ):
        endpoint = engine_address("", environ).endpoint
        assert endpoint.url == "https://10.0.0.1:2376"
        assert (endpoint.ca_file, endpoint.cert_file, endpoint.key_file) == (
            tls / "ca.pem",
            tls / "cert.pem",
            tls / "key.pem",
        )


def test_a_rootless_engines_socket_is_found(tmp_path: Path) -> None:
    """Where the usual socket is missing, the one in the user's runtime folder is taken."""
    if Path("/var/run/docker.sock").exists():
        pytest.skip("an engine listens on the usual socket of this machine")
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        assert _shown({"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}) == f"unix://{path}"
    assert _shown({"XDG_RUNTIME_DIR": str(tmp_path / "none")}) == "unix:///var/run/docker.sock"


@pytest.mark.parametrize("host", ["ssh://me@host", "npipe:////./pipe/docker", "nonsense", "unix://relative", "tcp://"])
def test_an_address_that_cannot_be_asked_is_a_usage_error(host: str) -> None:
    """One sentence that says what to write instead."""
    with pytest.raises(UsageError) as caught:
        engine_address(host, {})
    assert host in str(caught.value) and "unix://" in caught.value.hint


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The context and its file are named, a damaged one too."""
    with pytest.raises(ConfigError, match="'nope' is not there"):
        engine_address("", {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "nope"})
    _context(tmp_path, "odd", "x")
    next((tmp_path / "contexts" / "meta").glob("*/meta.json")).write_text("[1]")
    with pytest.raises(ConfigError, match="'odd' names no host"):
        engine_address("", {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "odd"})


def test_evidence_is_what_a_person_would_type() -> None:
    """Names are quoted, times exact, patterns become greps; labels become a loop over docker ps."""
    selection = Selection(since_ns=1795346976_000000000, patterns=(Pattern("slow round"),))
    named = Docker(["mesh-a", "x y"], host="tcp://h:1").evidence(selection)
    assert [one.command for one in named] == [
        "docker -H tcp://h:1 logs --timestamps --since 2026-11-22T11:29:36Z mesh-a 2>&1 | grep -P -e 'slow round'",
        "docker -H tcp://h:1 logs --timestamps --since 2026-11-22T11:29:36Z 'x y' 2>&1 | grep -P -e 'slow round'",
    ]
    (labelled,) = Docker(labels=["a=b c"], host="tcp://h:1").evidence(Selection())
    assert labelled.command == (
        "for c in $(docker -H tcp://h:1 ps -aq --filter 'label=a=b c'); "
        'do docker -H tcp://h:1 logs --timestamps "$c" 2>&1; done'
    )
