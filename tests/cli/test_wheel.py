"""The built wheel is whole: installed into an empty environment, away from the source tree, it does the main job."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.program import clean_environment

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and, borrowed, what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(TOP)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # Dependencies are borrowed, not fetched again; a path in a .pth file brings no editable install along.
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [
        str(environment / "bin" / "pip"),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--force-reinstall",
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    return environment / "bin"


def ask(installed: Path, folder: Path, *arguments: str) -> str:
    """What the installed program prints, run in an empty folder."""
    done = subprocess.run(
        [str(installed / "meshdiag"), *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    """The main job on the embedded lab works with nothing but the wheel."""
    printed = ask(installed, tmp_path, "demo", "--nodes", "5")
    assert "$ meshdiag health" in printed
    assert "because of the link" in printed
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_the_wheel_holds_its_data(installed: Path, tmp_path: Path) -> None:
    """Schema, runbooks and completions ship inside."""
    assert '"meshdiag.report/1"' in ask(installed, tmp_path, "schema")
    code = (
        "import meshdiag, pathlib\n"
        "from meshdiag.runbook import library\n"
        "here = pathlib.Path(meshdiag.__file__).parent\n"
        "assert library.folder() == here / 'runbooks', library.folder()\n"
        "assert library.read('slow-consensus').checks\n"
        "assert (here / 'completions' / 'meshdiag.bash').exists() and (here / 'py.typed').exists()\n"
        "print(here)"
    )
    found = subprocess.run(
        [str(installed / "python"), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(TOP) not in found.stdout, "not the source tree"
