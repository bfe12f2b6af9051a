"""Configuration: which layer wins, where a value came from, what a file may hold."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from platformdirs import user_config_path

from meshdiag.config.effective import MASK, as_toml, settings
from meshdiag.config.files import user_path
from meshdiag.config.places import Places
from meshdiag.context import CheckSettings, Context, Secret, SecretKind
from meshdiag.errors import ConfigError, UsageError
from meshdiag.model import Range, at_most
from tests.unit.configs import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty world."""
    return World(tmp_path)


def test_without_anything_the_built_in_defaults_are_in_force(world: World) -> None:
    """No file, no variable, no flag: the defaults of the mesh's documentation, marked as built in."""
    loaded = world.load()
    assert loaded.context == Context()
    assert set(loaded.origins.values()) == {"built-in"}
    assert loaded.context_names == ("local",)
    assert loaded.notes == ()


LAYERS: list[tuple[str, Callable[[World], object]]] = [
    ("user", lambda world: world.user('[contexts.local]\nprometheus = "http://user"\n')),
    ("found", lambda world: world.found('[contexts.local]\nprometheus = "http://found"\n')),
    (
        "given",
        lambda world: world.environ.update(
            MESHDIAG_CONFIG=str(world.given('[contexts.local]\nprometheus = "http://given"'))
        ),
    ),
    ("environment", lambda world: world.environ.update(MESHDIAG_PROMETHEUS_URL="http://environment")),
]


@pytest.mark.parametrize("strongest", range(len(LAYERS)))
def test_the_stronger_layer_wins(world: World, strongest: int) -> None:
    """Environment over the given file over the one found over the user's own over the defaults."""
    for _, write in LAYERS[: strongest + 1]:
        write(world)
    endpoint = world.load().context.prometheus
    assert endpoint is not None
    assert endpoint.url == f"http://{LAYERS[strongest][0]}"


def test_a_flag_wins_over_all(world: World) -> None:
    """What was typed last counts, and its origin is the flag."""
    for _, write in LAYERS:
        write(world)
    for key in ("prometheus", "prometheus.url"):
        loaded = world.load(overrides={key: "http://flag/base/"})
        assert loaded.context.prometheus is not None
        assert loaded.context.prometheus.url == "http://flag/base"
        assert loaded.origins["prometheus.url"] == "--prometheus-url"


def test_a_given_file_stands_in_for_the_one_found(world: World) -> None:
    """--config and MESHDIAG_CONFIG replace ./meshdiag.toml; the user's own file stays below."""
    world.user('[contexts.local]\njob = "user"\nnode_label = "user_label"\n')
    world.found('[contexts.local]\njob = "found"\nrole_label = "found_label"\n')
    given = world.given('[contexts.local]\njob = "given"\n')
    context = world.load(config_file=given).context
    assert (context.job, context.node_label, context.role_label) == ("given", "user_label", "role")


def test_config_goes_before_the_variable(world: World) -> None:
    """Of --config and MESHDIAG_CONFIG the flag counts."""
    world.environ["MESHDIAG_CONFIG"] = "/nowhere/at/all.toml"
    assert world.load(config_file=world.given("")).context == Context()


def test_origins_name_file_and_line(world: World) -> None:
    """Each value tells where it stands, down to the line."""
    world.user('default_context = "lab"\n\n[contexts.lab]\njob = "j"\n\n[contexts.lab.loki]\ntimeout = "7s"\n')
    world.found('[contexts.lab]\nlogs = [\n  "a.log",\n]\n[contexts.lab.checks."capacity.cpu"]\n# why\nwarn = 80\n')
    world.environ.update(MESHDIAG_JAEGER_URL="off", MESHDIAG_JOB="mesh")
    origins = world.load().origins
    user = str(world.home / "config.toml")
    assert origins["context"] == f"{user}:1"
    assert origins["loki.timeout"] == f"{user}:7"
    assert origins["logs"] == "./meshdiag.toml:2"
    assert origins['checks."capacity.cpu".warn'] == "./meshdiag.toml:7"
    assert origins["job"] == "MESHDIAG_JOB"
    assert origins["jaeger.url"] == "MESHDIAG_JAEGER_URL"
    assert origins["nodes"] == "built-in"


def test_who_chooses_the_context(world: World) -> None:
    """--context over MESHDIAG_CONTEXT over the files, the stronger first; else the only one, else 'local'."""
    world.user('default_context = "a"\n[contexts.a]\n[contexts.b]\n')
    assert world.load().context.name == "a"
    world.found('default_context = "b"\n[contexts.c]\n')
    assert (world.load().context.name, world.load().origins["context"]) == ("b", "./meshdiag.toml:1")
    world.environ["MESHDIAG_CONTEXT"] = "c"
    assert world.load().context.name == "c"
    loaded = world.load(context="local")
    assert (loaded.context.name, loaded.origins["context"]) == ("local", "--context")
    assert loaded.context_names == ("a", "b", "c", "local")


def test_the_only_context_needs_no_choosing(world: World) -> None:
    """A file with one context means that one."""
    world.found('[contexts.lab]\njob = "x"\n')
    loaded = world.load()
    assert (loaded.context.name, loaded.origins["context"]) == ("lab", "the only context in ./meshdiag.toml")


def test_an_unknown_context_names_the_near_one(world: World) -> None:
    """A misspelled context is an error that says which ones there are."""
    world.user("[contexts.staging]\n[contexts.prod]\n")
    with pytest.raises(ConfigError, match=r"--context: no context is called 'stagin'; did you mean staging\?"):
        world.load(context="stagin")
    world.environ["MESHDIAG_CONTEXT"] = "zzz"
    with pytest.raises(ConfigError, match=r"MESHDIAG_CONTEXT: .*known here: local, prod, staging"):
        world.load()


def test_everything_that_a_file_may_hold(world: World) -> None:
    """The whole format, read into the context."""
    given = world.given("""
        default_context = "lab"
        [contexts.lab]
        job = "mesh"
        node_label = "n"
        role_label = "r"
        peer_label = "p"
        logs = ["/logs/a.json", "relative.log"]
        nodes = ["one:9091", {address = "[::1]:9092", name = "two", role = "trainer", instance = "i2", peer = "two:7"}]
        grafana = false
        loki = "http://loki:3100/"
        [contexts.lab.prometheus]
        url = "https://prom.example/prefix"
        timeout = "1m30s"
        ca_file = "ca.pem"
        cert_file = "/tls/cert.pem"
        key_file = "/tls/key.pem"
        headers = { X-Scope-OrgID = "a" }
        username = "u"
        password_env = "PROM_PASSWORD"
        [contexts.lab.alertmanager]
        timeout = 2
        token_command = ["pass", "show", "two words"]
        [contexts.lab.scrape]
        timeout = 0.5
        token_file = "token"
        [contexts.lab.checks."consensus.round-duration"]
        warn = 15
        fail = "~:60"
        quantile = 0.99
        [checks."consensus.round-duration"]
        warn = 1
        [checks."capacity.cpu"]
        fail = "@90:100"
        """)
    context = world.load(config_file=given).context
    prometheus, alertmanager = context.prometheus, context.alertmanager
    assert prometheus is not None
    assert alertmanager is not None
    assert (context.job, context.node_label, context.role_label, context.peer_label) == ("mesh", "n", "r", "p")
    assert context.logs == ("/logs/a.json", str(given.parent / "relative.log"))
    assert context.nodes_expected
    assert [(node.url, node.instance, node.name, node.role, node.peer) for node in context.nodes] == [
        ("http://one:9091/metrics", "one:9091", "", "", ""),
        ("http://[::1]:9092/metrics", "i2", "two", "trainer", "two:7"),
    ]
    assert context.grafana is None
    assert context.loki is not None
    assert context.loki.url == "http://loki:3100"
    assert (prometheus.url, prometheus.timeout_s) == ("https://prom.example/prefix", 90)
    assert prometheus.ca_file == given.parent / "ca.pem"
    assert (prometheus.cert_file, prometheus.key_file) == (Path("/tls/cert.pem"), Path("/tls/key.pem"))
    assert prometheus.headers == {"X-Scope-OrgID": "a"}
    assert prometheus.credentials is not None
    assert prometheus.credentials.username == "u"
    assert prometheus.credentials.secret == Secret(SecretKind.ENV, "PROM_PASSWORD")
    assert alertmanager.url == "http://localhost:9093"
    assert alertmanager.credentials is not None
    assert alertmanager.credentials.secret == Secret(SecretKind.COMMAND, "pass show 'two words'")
    assert context.scrape.credentials is not None
    assert context.scrape.credentials.secret == Secret(SecretKind.FILE, str(given.parent / "token"))
    assert context.checks == {
        "consensus.round-duration": CheckSettings(15, at_most(60), {"quantile": 0.99}),
        "capacity.cpu": CheckSettings(fail=Range(90, 100, inside=True)),
    }


def test_checks_of_several_layers_are_laid_over_each_other(world: World) -> None:
    """Bound by bound: the context's own over every top-level table, the stronger layer over the weaker."""
    world.user('[checks."a.b"]\nwarn = 1\nfail = 2\n[contexts.local.checks."a.b"]\nfail = 3\n')
    world.found('[checks."a.b"]\nwarn = 4\nfail = 5\nodd = true\n')
    assert world.load().context.checks["a.b"] == CheckSettings(4, 3, {"odd": True})


def test_a_source_can_be_switched_off_and_on_again(world: World) -> None:
    """False takes a source away; a stronger layer's URL brings it back."""
    world.user("[contexts.local]\nprometheus = false\nloki = false\n")
    world.environ["MESHDIAG_PROMETHEUS_URL"] = "http://back:9090"
    loaded = world.load()
    assert loaded.context.loki is None
    assert loaded.context.prometheus is not None


def test_nodes_from_the_environment(world: World) -> None:
    """MESHDIAG_NODES lists nodes by host:port or by URL, MESHDIAG_LOGS lists files."""
    world.environ.update(MESHDIAG_NODES="a:1, https://b/page ,http://c:3/", MESHDIAG_LOGS="x.log,/y.log")
    context = world.load().context
    assert [node.url for node in context.nodes] == ["http://a:1/metrics", "https://b/page", "http://c:3/metrics"]
    assert [node.instance for node in context.nodes] == ["a:1", "b:443", "c:3"]
    assert context.logs == (str(world.project / "x.log"), "/y.log")
    assert context.nodes_expected


def _targets(world: World, name: str, content: object) -> None:
    folder = world.project / "targets"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_nodes_from_file_sd_files(world: World) -> None:
    """Target files are Prometheus' own: labels name the node, its role and peer; scheme and path count."""
    _targets(
        world, "a.json", [{"targets": ["h:1"], "labels": {"node": "n1", "role": "trainer", "peer_address": "p:1"}}]
    )
    _targets(
        world,
        "b.json",
        [{"targets": ["h:2", "h:3"], "labels": {"__scheme__": "https", "__metrics_path__": "/m"}}, {"targets": []}],
    )
    world.found('[contexts.local]\nnodes = ["h:9"]\nnode_files = ["targets/*.json"]\n')
    nodes = world.load().context.nodes
    assert [node.url for node in nodes] == [
        "http://h:9/metrics",
        "http://h:1/metrics",
        "https://h:2/m",
        "https://h:3/m",
    ]
    assert (nodes[1].name, nodes[1].role, nodes[1].peer) == ("n1", "trainer", "p:1")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "is not JSON at line 1"),
        ("[" * 100_000, "is not JSON"),
        ({}, "is not a file_sd list"),
        ([{}], "entry 1 needs targets"),
        ([{"targets": "h:1"}], "entry 1 needs targets"),
        ([{"targets": ["h"]}], "entry 1 must be host:port or a URL"),
        ([{"targets": ["h:1"]}, {"targets": ["http://u:geheim@h:1"]}], "entry 2 must not hold a user name or password"),
        ([{"targets": ["h:1"], "labels": {"node": "\x1b[31m"}}], "entry 1 has labels with control characters"),
        (["h:1"], "entry 1 needs targets"),
    ],
)
def test_a_wrong_target_file_is_named(world: World, content: object, what: str) -> None:
    """A target file that cannot be used is an error naming it, the setting that names it, and never its content."""
    _targets(world, "a.json", content)
    world.found('[contexts.local]\nnode_files = ["targets/a.json"]\n')
    with pytest.raises(ConfigError) as caught:
        world.load()
    assert str(caught.value).startswith("./meshdiag.toml:2: ")
    assert "a.json" in str(caught.value)
    assert what in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_rule_files_are_looked_for_from_the_folder_of_the_file(world: World) -> None:
    """Paths and globs of Prometheus' rule files; without any the mesh's own rules are meant."""
    assert world.load().context.rules == ()
    world.found('[contexts.local]\nrules = ["rules/*.yml", "/etc/prometheus/x.yml"]\n')
    loaded = world.load()
    assert loaded.context.rules == (str(world.project / "rules/*.yml"), "/etc/prometheus/x.yml")
    assert loaded.origins["rules"] == "./meshdiag.toml:2"


def test_a_pattern_that_fits_nothing_is_a_note(world: World) -> None:
    """No target file: there are no nodes, and that is said."""
    world.found('[contexts.local]\nnode_files = ["targets/*.json"]\n')
    loaded = world.load()
    assert loaded.context.nodes == ()
    assert loaded.notes == ("./meshdiag.toml:2: node_files 'targets/*.json' fits no file",)


def test_an_unknown_variable_is_a_note(world: World) -> None:
    """A misspelled variable does not silently do nothing."""
    world.environ["MESHDIAG_PROMETEUS_URL"] = "http://x"
    (note,) = world.load().notes
    assert note.startswith("MESHDIAG_PROMETEUS_URL: not read by meshdiag, which knows MESHDIAG_CONTEXT")
    assert "MESHDIAG_PROMETHEUS_URL" in note


def test_an_empty_variable_says_nothing(world: World) -> None:
    """VAR= is the shell's way to take a variable away."""
    world.environ.update(MESHDIAG_CONTEXT="", MESHDIAG_CONFIG="", MESHDIAG_LOKI_URL="", MESHDIAG_NODES=" ")
    assert world.load().context == Context()


def test_a_wrong_flag_is_wrong_usage(world: World) -> None:
    """The sentence about a flag names the flag."""
    with pytest.raises(UsageError, match=r"^--prometheus-url must begin with http:// or https://, got 'ftp://x'"):
        world.load(overrides={"prometheus": "ftp://x"})


def test_what_is_shown_can_be_read_back(world: World) -> None:
    """`config show -o toml` is a configuration file that gives the same context."""
    world.user("""
        default_context = "la b"
        [contexts."la b"]
        nodes = [{url = "http://h:1/m", name = "n\\"1"}]
        jaeger = false
        [contexts."la b".prometheus]
        url = "http://p"
        headers = { X-Scope-OrgID = "a", Accept = "x" }
        username = "u"
        password_file = "/p"
        [contexts."la b".checks."a.b"]
        warn = 3
        fail = "1:2"
        list = [1, "two"]
        """)
    loaded = world.load()
    again = world.load(config_file=world.given(as_toml(loaded)))
    assert again.context == replace(loaded.context, nodes_expected=True)


def test_secrets_are_shown_as_places(world: World, tmp_path: Path) -> None:
    """`config show` tells where a secret is kept, never what it is; header values that may be keys are masked."""
    (tmp_path / "token").write_text("geheim")
    world.environ["PASSWORD"] = "geheim"
    world.user(f"""
        [contexts.local.prometheus]
        headers = {{ X-Api-Key = "geheim", X-Scope-OrgID = "team" }}
        token_file = "{tmp_path}/token"
        [contexts.local.loki]
        username = "u"
        password_env = "PASSWORD"
        """)
    loaded = world.load()
    shown = {one.key: one for one in settings(loaded)}
    assert "geheim" not in str(shown) + as_toml(loaded) + repr(loaded)
    assert shown["prometheus.token_file"].value == f"{tmp_path}/token"
    assert shown["prometheus.headers"].value == {"X-Api-Key": MASK, "X-Scope-OrgID": "team"}
    assert shown["loki.password_env"].text == "PASSWORD"


def test_lines_of_keys_are_found_in_any_writing() -> None:
    """Strings over lines, brackets in strings, arrays of tables, dotted and quoted keys: the line is right."""
    text = '''# [not.a.table]
a = """
[b]
x = 1
"""  # ]
[b]   # [c]
"q.[" = [ "]", # }
   1,
]
c.d = { e = "#" }
[[t]]
[[t.u]]
x = 1
[[t]]
  [t.v]
  y = \'\'\'it"s\'\'\'\'
z = "\\""
'''
    tomllib.loads(text)
    places = Places(text)
    assert places.line(("a",)) == 2
    assert places.line(("b",)) == 6
    assert places.line(("b", "q.[")) == 7
    assert places.line(("b", "c", "d", "e")) == 10
    assert places.line(("t", 0)) == 11
    assert places.line(("t", 0, "u", 0, "x")) == 13
    assert places.line(("t", 1, "v", "y")) == 16
    assert places.line(("t", 1, "v", "z")) == 17
    assert places.line(("nothing",)) is None


def test_the_nodes_of_this_machine_say_nothing_of_a_mesh_elsewhere(world: World) -> None:
    """A context with a Prometheus far away never falls back to scraping the documented ports of localhost."""
    far = world.load(overrides={"prometheus": "http://prom.example:9090"})
    near = world.load(overrides={"prometheus": "http://127.0.0.1:9"})
    assert far.context.nodes == ()
    assert "elsewhere" in far.origins["nodes"]
    assert len(near.context.nodes) == 3


def test_certificates_are_looked_for_from_the_folder_of_the_file(world: World) -> None:
    """Where the mesh's certificates lie, and whose signature its nodes trust, stand in a context and are shown."""
    world.found('[contexts.local]\ncertificates = ["tls/*.pem"]\npeer_ca_file = "ca.pem"\n')
    loaded = world.load()
    assert loaded.context.certificates == (str(world.project / "tls/*.pem"),)
    assert loaded.context.peer_ca_file == world.project / "ca.pem"
    shown = {one.key: one.origin for one in settings(loaded)}
    assert (shown["certificates"], shown["peer_ca_file"]) == ("./meshdiag.toml:2", "./meshdiag.toml:3")
    assert "peer_ca_file = " in as_toml(loaded)


def test_the_users_folder_is_where_platformdirs_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shorter way to it on Linux comes to the same place."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path({}) == user_config_path("meshdiag", appauthor=False) / "config.toml"
    assert user_path({"XDG_CONFIG_HOME": "/elsewhere"}) == Path("/elsewhere/meshdiag/config.toml")
