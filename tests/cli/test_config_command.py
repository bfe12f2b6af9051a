"""``meshdiag config``, ``checks`` and ``schema``, as typed."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from meshdiag.checks import all_checks
from meshdiag.config.starter import STARTER
from tests.program import Ran, run
from tests.unit.configs import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty world; the user's folder is its home."""
    return World(tmp_path)


def _run(world: World, *arguments: str, **environment: str) -> Ran:
    return run(*arguments, environment={"XDG_CONFIG_HOME": str(world.root / "xdg"), **environment}, cwd=world.project)


def test_init_writes_a_file_that_changes_nothing(world: World) -> None:
    """The starter goes to the user's folder, readable by its owner alone, and every setting in it is a comment."""
    ran = _run(world, "config", "init")
    path = world.root / "xdg/meshdiag/config.toml"
    assert (ran.code, ran.stdout) == (0, f"{path}\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(path.read_text()) == {}
    assert _run(world, "config", "check").code == 0


def test_init_does_not_overwrite(world: World) -> None:
    """What is there stays, unless --force is given; no half-written file is left in either case."""
    target = world.root / "own.toml"
    target.write_text("mine")
    ran = _run(world, "config", "init", "--path", str(target))
    assert ran.code == 64
    assert "exists already" in ran.stderr
    assert target.read_text() == "mine"
    assert _run(world, "config", "init", "--path", str(target), "--force").code == 0
    assert target.read_text() == STARTER
    assert sorted(path.name for path in world.root.iterdir() if path.is_file()) == ["own.toml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_init_says_why_it_cannot_write(world: World) -> None:
    """A folder that may not be written to is one sentence."""
    world.home.chmod(0o500)
    ran = _run(world, "config", "init", "--path", str(world.home / "x.toml"))
    assert (ran.code, "cannot be written: permission denied" in ran.stderr) == (64, True)


def test_the_starter_is_right_when_its_comments_are_removed(world: World) -> None:
    """Every example in the starter is valid as it stands, check ids included."""
    text = re.sub(r"(?m)^#(?=[\w\[])", "", STARTER)
    given = world.given(text)
    (world.root / "targets").mkdir()
    ran = _run(world, "--config", str(given), "config", "show", "-o", "json")
    shown = {row["key"]: row["value"] for row in ran.report["data"]}
    assert shown["context"] == "prod"
    assert shown["prometheus.password_command"] == "pass show prometheus"
    checked = _run(world, "--config", str(given), "config", "check")
    assert "no check is called" not in checked.stdout


def test_show_tells_where_values_come_from(world: World) -> None:
    """One row a setting: key, value, origin; valid against the schema in JSON."""
    world.found('[contexts.local]\njob = "mine"\n')
    ran = _run(world, "config", "show", MESHDIAG_LOKI_URL="http://loki.example")
    assert re.search(r"job +mine +\./meshdiag\.toml:2", ran.stdout)
    assert re.search(r"loki\.url +http://loki\.example +MESHDIAG_LOKI_URL", ran.stdout)
    assert re.search(r"prometheus\.url +http://localhost:9090 +built-in", ran.stdout)
    rows = {row["key"]: row for row in _run(world, "config", "show", "-o", "json").report["data"]}
    assert rows["job"] == {"key": "job", "text": "mine", "value": "mine", "origin": "./meshdiag.toml:2"}


def test_show_never_prints_a_secret(world: World) -> None:
    """In no format: of a secret the place is shown."""
    (world.root / "token").write_text("geheim")
    given = world.given(
        '[contexts.local.prometheus]\nheaders = { X-Api-Key = "geheim" }\ntoken_file = "token"\n'
        '[contexts.local.loki]\nusername = "u"\npassword_env = "LOKI_PASSWORD"\n'
    )
    for fmt in ("table", "json", "toml"):
        ran = _run(world, "--config", str(given), "config", "show", "-o", fmt, LOKI_PASSWORD="geheim")
        assert ran.code == 0
        assert "LOKI_PASSWORD" in ran.stdout
        assert "geheim" not in ran.stdout + ran.stderr


def test_hostile_names_do_not_reach_the_terminal(world: World) -> None:
    """Control characters in a file are written out, in answers and in error sentences."""
    world.found('[checks."a\\u001b[31m"]\nwarn = 1\n"\\u009b31m" = "\\u202e"\n')
    for arguments in (("show",), ("show", "-o", "toml"), ("check",)):
        ran = _run(world, "config", *arguments)
        assert not re.search("[\x1b\x9b\u202e]", ran.stdout + ran.stderr)
    assert "\x1b" not in _run(world, "--context", "\x1b[31m", "config", "show").stderr


def test_check_lists_every_problem_one_a_line(world: World) -> None:
    """All files, all contexts: keys, types, check ids, missing files, unset variables, programs that are not there."""
    given = world.given("""
[contexts.a]
joob = "x"
[contexts.a.prometheus]
ca_file = "missing.pem"
token_env = "NOT_SET_ANYWHERE"
[contexts.b.loki]
token_command = "no-such-program-anywhere"
[contexts.b.scrape]
token_file = "missing"
[contexts.b.checks."capacity.cpuu"]
warn = 1
[contexts.c]
node_files = ["given.toml"]
""")
    ran = _run(world, "--config", str(given), "config", "check", MESHDIAG_JAEGER_URL="x", MESHDIAG_ODD="1")
    assert ran.code == 64
    lines = ran.stdout.splitlines()
    expected = [
        "given.toml:3: contexts.a.joob is not a key",
        "no check is called 'capacity.cpuu'; did you mean capacity.cpu?",
        "MESHDIAG_JAEGER_URL must begin with http://",
        "given.toml:5: prometheus.ca_file: ",
        "given.toml:6: prometheus: the variable NOT_SET_ANYWHERE is not set",
        "given.toml:8: loki: the command's program is not on the PATH",
        "given.toml:10: scrape: ",
        "given.toml is not JSON at line 2",
    ]
    for part in expected:
        assert sum(part in line for line in lines) == 1, (part, lines)
    assert len(lines) == len(expected)
    assert "note: MESHDIAG_ODD: not read" in ran.stderr


def test_check_says_what_is_fine(world: World) -> None:
    """Nothing wrong: the files and the contexts that were looked at, exit code 0."""
    world.found('[contexts.lab]\n[contexts.lab.checks."capacity.cpu"]\nwarn = 5\n')
    ran = _run(world, "config", "check")
    assert (ran.code, ran.stdout) == (0, "fine: ./meshdiag.toml; contexts: lab, local\n")


def test_path_lists_the_places(world: World) -> None:
    """Where files are looked for, the strongest first, and whether they exist."""
    world.found("")
    rows = _run(world, "config", "path", "-o", "json").report["data"]
    assert [(row["path"], row["exists"]) for row in rows] == [
        (str(world.project / "meshdiag.toml"), True),
        (str(world.root / "xdg/meshdiag/config.toml"), False),
    ]
    assert "the user's own" in _run(world, "config", "path").stdout


def test_a_wrong_configuration_stops_a_command_with_its_sentence(world: World) -> None:
    """Exit code 64, one sentence on stderr, nothing on stdout."""
    world.found('[contexts.local]\nprometheus = "ftp://x"\n')
    ran = _run(world, "config", "show")
    assert (ran.code, ran.stdout) == (64, "")
    assert ran.stderr.startswith("meshdiag: ./meshdiag.toml:2: contexts.local.prometheus must begin with http://")


def test_checks_are_listed_with_the_thresholds_in_force(world: World) -> None:
    """Every check, its default, what the configuration made of it, and who did."""
    world.found('[checks."capacity.cpu"]\nwarn = 50\nfail = "~:60"\n')
    rows = {row["id"]: row for row in _run(world, "checks", "-o", "json").report["data"]}
    assert set(rows) == set(all_checks())
    assert rows["capacity.cpu"]["default"] == "warn ~:85, fail ~:95"
    assert rows["capacity.cpu"]["in_force"] == "warn ~:50, fail ~:60"
    assert rows["capacity.cpu"]["set_by"] == "./meshdiag.toml:2 ./meshdiag.toml:3"
    full = _run(world, "checks", "capacity.cpu").stdout
    told = dict(line.split("  ", 1) for line in full.splitlines() if "  " in line)
    assert (told["warns"].strip(), told["fails"].strip()) == ("above 50 %", "above 60 %")
    assert "next step" in full


def test_an_unknown_check_names_the_near_one(world: World) -> None:
    """A misspelled id is wrong usage, with a proposal."""
    ran = _run(world, "checks", "capacity.cpuu")
    assert (ran.code, ran.stdout) == (64, "")
    assert "capacity.cpu" in ran.stderr


def test_the_schema_is_printed_as_it_ships(world: World) -> None:
    """`meshdiag schema` is the file that answers are validated with."""
    ran = _run(world, "schema")
    assert json.loads(ran.stdout)["$schema"].startswith("https://json-schema.org/")
