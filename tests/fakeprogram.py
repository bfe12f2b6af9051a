"""A program of our own making on PATH, for one that cannot run here (kubectl) or does too well (journalctl): it keeps
what it was asked and answers as a test says."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

SCRIPT = """#!{python} -IS
import json, os, sys, time
home = {home!r}
with open(home + "/asked.jsonl", "a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
with open(home + "/answers.json") as file:
    answers = json.load(file)
given = " ".join(sys.argv[1:])
for number, answer in enumerate(answers):
    spent = home + "/spent-" + str(number)
    if all(word in given for word in answer["when"]) and not (answer["once"] and os.path.exists(spent)):
        open(spent, "w").close()
        break
else:
    sys.exit("nothing to answer to: " + given)
with open(home + "/pids", "a") as pids:
    pids.write(str(os.getpid()) + "\\n")
os.write(2, answer["stderr"].encode())
data = answer["stdout"].encode("latin-1")
while data:
    data = data[os.write(1, data):]
if answer["hangs"]:
    time.sleep(60)
sys.exit(answer["code"])
"""


@dataclass(frozen=True)
class Answer:
    """What is said when all the words of ``when`` are among the arguments; the first answer that fits is given.
    ``stdout`` holds bytes as Latin-1; ``hangs``: it goes on running; ``once``: a second time the next answer fits."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0
    when: tuple[str, ...] = ()
    hangs: bool = False
    once: bool = False


class FakeProgram:
    """The program in ``folder``, which a test puts on PATH or names."""

    def __init__(self, folder: Path, name: str, *answers: Answer) -> None:
        self.path = folder / name
        self._folder = folder
        self.path.write_text(SCRIPT.format(python=sys.executable, home=str(folder)))
        self.path.chmod(0o755)
        self.answer(*answers)

    def answer(self, *answers: Answer) -> None:
        """Change what it answers."""
        (self._folder / "answers.json").write_text(json.dumps([asdict(one) for one in answers]))

    @property
    def asked(self) -> list[list[str]]:
        """The arguments of each run so far."""
        file = self._folder / "asked.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def running(self) -> list[int]:
        """Runs that have not ended."""
        file = self._folder / "pids"
        pids = map(int, file.read_text().split()) if file.exists() else ()
        return [pid for pid in pids if _is_running(pid)]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
