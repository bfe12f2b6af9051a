"""What the configuration says of logs: formats of the user, streams of the mesh in Loki; mistakes by their place."""

from __future__ import annotations

import tomllib

import pytest

from meshdiag.config.effective import as_toml, settings
from meshdiag.config.presence import may_be_configured
from meshdiag.errors import ConfigError
from tests.unit.configs import World

GATEWAY = "[logs.formats.gateway]\nregex = '^(?P<time>\\S+) (?P<message>.*)$'\n"


def test_formats_of_all_files_are_known_and_the_stronger_file_wins(tmp_path):
    """A format in the user's file holds everywhere; one of the same name in the working directory goes before it."""
    world = World(tmp_path)
    world.user(GATEWAY + "[logs.formats.'old app']\nregex = '(?P<level>\\w+)'\n")
    world.found("[logs.formats.gateway]\nregex = '(?P<time>\\d+)'\n")
    loaded = world.load()
    assert loaded.context.log_formats == {"gateway": r"(?P<time>\d+)", "old app": r"(?P<level>\w+)"}
    assert loaded.origins["logs.formats.gateway.regex"] == "./meshdiag.toml:2"
    told = {one.key: one.value for one in settings(loaded)}
    assert told['logs.formats."old app".regex'] == r"(?P<level>\w+)"
    again = tomllib.loads(as_toml(loaded))
    assert again["logs"]["formats"]["old app"] == {"regex": r"(?P<level>\w+)"}


def test_the_streams_of_loki_are_a_key_of_the_context(tmp_path):
    """The selector is shown with its origin, and left out where the built-in one is in force."""
    world = World(tmp_path)
    assert "loki_selector" not in as_toml(world.load())
    world.found("[contexts.local]\nloki_selector = '{app=\"mesh\"}'\n")
    loaded = world.load()
    assert loaded.context.loki_selector == '{app="mesh"}'
    assert tomllib.loads(as_toml(loaded))["contexts"]["local"]["loki_selector"] == '{app="mesh"}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[logs.formats.x]\nregex = '('\n", "given.toml:2: logs.formats.x.regex is no regular expression"),
        ("[logs.formats.x]\nregex = '\\d+'\n", "given.toml:2: logs.formats.x.regex names none of the groups time"),
        ("[logs.formats.x]\n", "given.toml:1: logs.formats.x needs a regex"),
        ("[logs.formats.x]\nregx = 'a'\n", "logs.formats.x.regx is not a key that meshdiag knows; did you mean regex?"),
        ("[logs.formats.x]\nregex = 1\n", "logs.formats.x.regex expects text in quotes"),
        ("[logs]\nformat = 1\n", "logs.format is not a key that meshdiag knows; did you mean formats?"),
        (f"[logs.formats.x]\nregex = '(?P<time>{'a' * 5000})'\n", "is longer than 4,096 characters"),
        ("[contexts.local]\nloki_selector = 'app=mesh'\n", "contexts.local.loki_selector is no stream selector"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, said):
    """The file, the line, the key, and what was expected."""
    world = World(tmp_path)
    with pytest.raises(ConfigError) as raised:
        world.load(config_file=world.given(text))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("environ", "files", "expected"),
    [
        ({}, (), False),
        ({"MESHDIAG_DEBUG": "1"}, (), False),
        ({"MESHDIAG_LOGS": "a.log"}, (), True),
        ({"MESHDIAG_TYPO": ""}, (), True),
        ({}, ("work/meshdiag.toml",), True),
        ({}, ("config/meshdiag/config.toml",), True),
    ],
)
def test_whether_there_is_anything_to_read(tmp_path, monkeypatch, environ, files, expected):
    """Only where no file and no variable can say anything is nothing read."""
    (tmp_path / "work").mkdir()
    (tmp_path / "config/meshdiag").mkdir(parents=True)
    for name in files:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "work")
    assert may_be_configured({"XDG_CONFIG_HOME": str(tmp_path / "config"), **environ}) is expected
