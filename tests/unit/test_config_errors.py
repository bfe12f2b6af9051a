"""Wrong configuration: file, line, key, what was expected; never a traceback, never a secret repeated."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.config.shapes import ContextShape, EndpointShape, NodeShape
from meshdiag.config.words import quoted
from meshdiag.errors import ConfigError
from tests.unit.configs import World

C = "contexts.local"

SENTENCES = [
    # syntax
    ("job = \n", "given.toml: not valid TOML: Invalid value (at line 1, column 7)"),
    ("a = 1\na = 2\n", "given.toml: not valid TOML: Cannot overwrite a value (at line 2, column 6)"),
    (f"a = {'[' * 5000}", "given.toml: nested too deeply to be a configuration"),
    (f"a = {'9' * 5000}", "given.toml: not valid TOML"),
    # keys
    ("contxts = 1", "given.toml:1: contxts is not a key that meshdiag knows; did you mean contexts?"),
    (
        "\n\nzzz = 1",
        "given.toml:3: zzz is not a key that meshdiag knows; known here: checks, contexts, default_context",
    ),
    (
        f"[{C}]\nprometeus = 1",
        f"given.toml:2: {C}.prometeus is not a key that meshdiag knows; did you mean prometheus?",
    ),
    (f"[{C}.loki]\nurll = 1", f"given.toml:2: {C}.loki.urll is not a key that meshdiag knows; did you mean url?"),
    (f"[{C}.scrape]\nurl = 1", f"given.toml:2: {C}.scrape.url is not a key that meshdiag knows; known here: ca_file"),
    (f"[[{C}.nodes]]\nrol = 1", f"given.toml:2: {C}.nodes[1].rol is not a key that meshdiag knows; did you mean role?"),
    (f'[{C}]\n"a\\u001b[31m" = 1', f'given.toml:2: {C}."a\\u001b[31m" is not a key'),
    # types
    ("default_context = 1", "given.toml:1: default_context expects text in quotes, got a whole number"),
    ("contexts = []", "given.toml:1: contexts expects a table, got a list"),
    ("[contexts]\na = 1", "given.toml:2: contexts.a expects a table, got a whole number"),
    (f"[{C}]\njob = 1979-05-27", f"given.toml:2: {C}.job expects text in quotes, got a date"),
    (f'[{C}]\nlogs = "a"', f"given.toml:2: {C}.logs expects a list, got text in quotes"),
    (f'[{C}]\nlogs = ["a",\n1]', f"given.toml:2: {C}.logs expects text in quotes in place 2, got a whole number"),
    (f"[{C}]\nloki = true", f"given.toml:2: {C}.loki expects a table, a URL or false, got true"),
    (
        f"[{C}]\nloki = 5",
        f"given.toml:2: {C}.loki expects true or false or text in quotes or a table, got a whole number",
    ),
    (
        f"[{C}.loki]\ntimeout = true",
        f"given.toml:2: {C}.loki.timeout expects a number or text in quotes, got true or false",
    ),
    (
        f"[{C}.loki]\nheaders = {{a = 1}}",
        f"given.toml:2: {C}.loki.headers.a expects text in quotes, got a whole number",
    ),
    ('[checks."a.b"]\nwarn = []', 'given.toml:2: checks."a.b".warn expects a number or text in quotes, got a list'),
    # values
    (f'[{C}]\njob = ""', f"given.toml:2: {C}.job expects text without control characters, not empty"),
    (f'[{C}]\nnode_label = "a-b"', f"given.toml:2: {C}.node_label is not the name of a label"),
    ('[contexts."a\\n"]', 'given.toml:1: contexts."a\\n" is no name for a context'),
    (
        f'[{C}.loki]\ntimeout = "5"',
        f"given.toml:2: {C}.loki.timeout expects a duration: '5' is not a duration; did you mean 5s?",
    ),
    (f"[{C}.loki]\ntimeout = 0", f"given.toml:2: {C}.loki.timeout expects more than 0 and at most 1h"),
    (f"[{C}.loki]\ntimeout = nan", f"given.toml:2: {C}.loki.timeout expects more than 0"),
    (f"[{C}]\nloki = 'loki:3100'", f"given.toml:2: {C}.loki must begin with http:// or https://, got 'loki:3100'"),
    (f"[{C}]\nloki = 'http://'", f"given.toml:2: {C}.loki names no host"),
    (f"[{C}]\nloki = 'http://h:99999'", f"given.toml:2: {C}.loki is not a URL: 'http://h:99999'"),
    (f"[{C}]\nloki = 'http://h:+1'", f"given.toml:2: {C}.loki"),
    (f"[{C}]\nloki = 'http://[::1'", f"given.toml:2: {C}.loki is not a URL"),
    (
        f"[{C}]\nloki = 'http://h/?a=b'",
        f"given.toml:2: {C}.loki must be the server's address alone, without '?' or '#'",
    ),
    (f"[{C}]\nloki = 'http://h\\evil'", f"given.toml:2: {C}.loki must be a plain http:// or https:// URL"),
    (f'[{C}]\nnodes = ["h"]', f"given.toml:2: {C}.nodes[1] must be host:port or a URL, got 'h'"),
    (
        f'[{C}]\nnodes = [\n"h:1",\n{{name = "x"}}]',
        f'given.toml:2: {C}.nodes[2] needs either url or address ("host:port")',
    ),
    (
        f'[{C}]\nnodes = [{{url = "http://h:1", address = "h:1"}}]',
        f"given.toml:2: {C}.nodes[1] needs either url or address",
    ),
    (
        '[checks."a.b"]\nfail = "x"',
        "given.toml:2: checks.\"a.b\".fail expects a number or a range: 'x' is not a range; write 10",
    ),
    ('[checks."a.b"]\nfail = inf', 'given.toml:2: checks."a.b".fail expects a finite number'),
    (f"[{C}.loki]\nca_file = ''", f"given.toml:2: {C}.loki.ca_file expects the path of a file"),
    (f"[{C}.loki]\nheaders = {{'a b' = 'x'}}", f'given.toml:2: {C}.loki.headers."a b" is not the name of a header'),
    (f'[{C}.loki]\nheaders = {{a = "x\\r\\ny: z"}}', f"given.toml:2: {C}.loki.headers.a expects printable ASCII text"),
    (
        f"[{C}.loki]\nheaders = {{Content-Length = '1'}}",
        f"given.toml:2: {C}.loki.headers.Content-Length is a header that",
    ),
    # credentials
    (
        f"[{C}.loki]\nusername = 'u'",
        f"given.toml:2: {C}.loki.username needs a password; give password_file, password_env or",
    ),
    (f"[{C}.loki]\npassword_file = 'p'", f"given.toml:2: {C}.loki.password_file needs username beside it"),
    (f"[{C}.loki]\ntoken_env = 'T'\nusername = 'u'", f"given.toml:2: {C}.loki.token_env does not go with username"),
    (
        f"[{C}.loki]\ntoken_env = 'T'\ntoken_file = 't'",
        f"given.toml:2: {C}.loki.token_env stands beside token_file; give one place for the secret",
    ),
    (f"[{C}.loki]\ntoken_env = 'a b'", f"given.toml:2: {C}.loki.token_env expects the name of an environment variable"),
    (f"[{C}.loki]\ntoken_command = ' '", f"given.toml:2: {C}.loki.token_command expects a command line"),
    (f"[{C}.loki]\nkey_file = 'k'", f"given.toml:2: {C}.loki.key_file needs cert_file beside it"),
]


@pytest.mark.parametrize(("text", "sentence"), SENTENCES, ids=range(len(SENTENCES)))
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    """A mistake is told by file, line, key and what was expected there."""
    world = World(tmp_path)
    given = world.given(text)
    with pytest.raises(ConfigError) as caught:
        world.load(config_file=given)
    assert str(caught.value).startswith(f"{tmp_path}/{sentence}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        f"[{C}.loki]\nusername = 'u'\npassword = 'geheim'",
        f"[{C}.loki]\ntoken = 'geheim'",
        f"[{C}.loki]\nbearer_token = 'geheim'",
        f"[{C}.loki]\nheaders = {{Authorization = 'Bearer geheim'}}",
        f"[{C}]\nloki = 'http://u:geheim@h'",
        f"[{C}.loki]\nurl = 'https://u:geheim@h:1/x'",
        f"[{C}.loki]\nurl = '//u:geheim@h'",
        f"[{C}]\nnodes = ['u:geheim@h:1']",
        f"[{C}]\nnodes = [{{url = 'http://u:geheim@h:1/metrics'}}]",
        f"[{C}.loki]\ntoken_env = 'geheim geheim'",
    ],
)
def test_a_plain_secret_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    """A secret in the file itself is refused with the ways that there are, and does not reach a terminal."""
    world = World(tmp_path)
    with pytest.raises(ConfigError) as caught:
        world.load(config_file=world.given(text))
    assert "geheim" not in str(caught.value) + repr(caught.value)


def test_a_plain_password_is_told_the_three_ways(tmp_path: Path) -> None:
    """The sentence names file, variable and command."""
    world = World(tmp_path)
    with pytest.raises(ConfigError) as caught:
        world.load(config_file=world.given(f"[{C}.loki]\npassword = 'x'"))
    assert str(caught.value) == (
        f"{tmp_path}/given.toml:2: {C}.loki.password would be a secret in the file itself; "
        "write password_file (a path), password_env (a variable's name) or "
        "password_command (a command that prints it) instead"
    )


@pytest.mark.parametrize("name", ["MESHDIAG_PROMETHEUS_URL", "MESHDIAG_NODES"])
def test_a_secret_in_a_variable_is_not_repeated(tmp_path: Path, name: str) -> None:
    """Credentials in a URL are refused in the environment too."""
    world = World(tmp_path, {name: "http://u:geheim@h:1"})
    with pytest.raises(ConfigError, match=f"^{name} must not hold a user name or password") as caught:
        world.load()
    assert "geheim" not in str(caught.value)


def test_the_number_of_further_problems_is_told(tmp_path: Path) -> None:
    """One sentence for the first problem, and where to see the others."""
    world = World(tmp_path)
    with pytest.raises(ConfigError, match=r"a is not a key.*; 2 more problems: 'meshdiag config check' lists all$"):
        world.load(config_file=world.given("a = 1\nb = 2\nc = 3\n"))


def test_a_check_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """A threshold for a misspelled check must not silently do nothing."""
    world = World(tmp_path)
    world.found('[contexts.other.checks."capacity.cpuu"]\nwarn = 1\n')
    with pytest.raises(
        ConfigError, match=r"^\./meshdiag\.toml:2: no check is called 'capacity\.cpuu'; did you mean capacity\.cpu\?"
    ):
        world.load(known_checks=lambda: ["capacity.cpu", "capacity.disk"])


def test_checks_are_not_listed_for_nothing(tmp_path: Path) -> None:
    """A configuration without thresholds does not make the program load all checks."""
    world = World(tmp_path)
    world.found("[contexts.local]\n")

    def not_called() -> list[str]:
        raise AssertionError

    world.load(known_checks=not_called)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file given by name must be there; a folder, a huge file and bytes that are no text have their sentences."""
    world = World(tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: no such file or directory"):
        world.load(config_file=tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        world.load(config_file=tmp_path)
    (tmp_path / "big.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        world.load(config_file=tmp_path / "big.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"bytes\.toml:2: not UTF-8 text"):
        world.load(config_file=tmp_path / "bytes.toml")


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    """An editor's habits are no mistakes, and lines are still counted right."""
    world = World(tmp_path)
    given = tmp_path / "given.toml"
    given.write_bytes(b"\xef\xbb\xbf[contexts.local]\r\njob = 'x'\r\n")
    assert world.load(config_file=given).origins["job"].endswith("given.toml:2")


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["http://h:1", "h:1", "~:5", "5s", "/x", "u", "off", "http://u:p@h", "X" * 300]),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            "default_context", "contexts", "checks", "local", "warn", "fail", "a.b",
            *ContextShape.__struct_fields__, *EndpointShape.__struct_fields__, *NodeShape.__struct_fields__,
        ]
    ),
    st.text(max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
CONTEXTS = st.dictionaries(st.sampled_from(ContextShape.__struct_fields__), VALUES, max_size=6)
ENDPOINTS = st.dictionaries(st.sampled_from(EndpointShape.__struct_fields__), SCALARS, max_size=6)
DOCUMENTS = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.builds(lambda context: {"contexts": {"local": context}}, CONTEXTS),
    st.builds(lambda end: {"contexts": {"local": {"prometheus": end, "scrape": end}}}, ENDPOINTS),
    st.builds(lambda table: {"checks": table}, st.dictionaries(KEYS, st.dictionaries(KEYS, SCALARS))),
)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else repr(value)


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS, st.booleans())
def test_no_document_breaks_the_program(document: dict[str, Any], found: bool) -> None:
    """Any TOML gives a context or one printable sentence."""
    text = "".join(f"{quoted(key)} = {_toml(value)}\n" for key, value in document.items())
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        file = world.found(text) if found else world.given(text)
        try:
            world.load(config_file=None if found else file)
        except ConfigError as error:
            assert str(error).isprintable()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_break_the_program(raw: bytes) -> None:
    """Whatever lies there under the name of a configuration, the answer is one printable sentence."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        (world.project / "meshdiag.toml").write_bytes(raw)
        try:
            world.load()
        except ConfigError as error:
            assert str(error).isprintable()
