"""The blackbox_exporters beside the nodes, as a configuration file names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshdiag.config.effective import as_toml
from meshdiag.context import Blackbox
from meshdiag.errors import ConfigError
from tests.unit.configs import World

if TYPE_CHECKING:
    from pathlib import Path

    from meshdiag.config import Loaded


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A machine without any configuration."""
    return World(tmp_path)


def read(world: World, text: str) -> Loaded:
    """What a user's file of this text says."""
    world.user(text)
    return world.load()


def test_without_a_word_the_default_port_of_every_node_is_meant(world: World) -> None:
    """The default is the exporter's own port on each node's host, and its usual module."""
    assert read(world, "").context.blackbox == Blackbox("http://{host}:9115", "tcp_connect")


def test_a_table_a_url_and_false_are_all_taken(world: World) -> None:
    """A table sets what it names; a URL alone sets the address; false says that the mesh has none."""
    table = '[contexts.local.blackbox]\nurl = "https://{host}:9200/bb/"\nmodule = "icmp"\ntimeout = "500ms"\ncount=5\n'
    assert read(world, table).context.blackbox == Blackbox("https://{host}:9200/bb", "icmp", 0.5, 5)
    url = read(world, '[contexts.local]\nblackbox = "http://probe.example:9115"\n').context.blackbox
    assert url == Blackbox("http://probe.example:9115")
    assert read(world, "[contexts.local]\nblackbox = false\n").context.blackbox is None


def test_a_node_may_have_an_exporter_of_its_own(world: World) -> None:
    """The node's own address goes before the pattern, and is checked like any URL."""
    node = '[[contexts.local.nodes]]\naddress = "10.0.0.1:9091"\nblackbox = "http://10.9.0.1:9115/"\n'
    assert read(world, node).context.nodes[0].blackbox == "http://10.9.0.1:9115"
    with pytest.raises(ConfigError, match=r"nodes\[0\]\.blackbox|nodes.*blackbox"):
        read(world, node.replace("http://", "ftp://"))


@pytest.mark.parametrize(
    "line",
    ['url = "http://{node}:9115"', 'url = "http://u:p@{host}:9115"', 'url = "{host}:9115"', 'module = ""', "count = 0",
     'timeout = "0s"', 'password_file = "x"'],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(world: World, line: str) -> None:
    """A pattern that is no URL, credentials, and values out of range are refused, each by its key and line."""
    with pytest.raises(ConfigError, match=rf":2: contexts\.local\.blackbox\.{line.partition(' ')[0]}"):
        read(world, f"[contexts.local.blackbox]\n{line}\n")


def test_what_is_in_force_can_be_written_as_a_file_again(world: World) -> None:
    """``config show`` prints the table so that it reads back to the same."""
    loaded = read(world, '[contexts.local.blackbox]\nurl = "http://{host}:9200"\ncount = 7\n')
    again = read(world, as_toml(loaded))
    assert again.context.blackbox == loaded.context.blackbox
    assert 'url = "http://{host}:9200"' in as_toml(loaded)
