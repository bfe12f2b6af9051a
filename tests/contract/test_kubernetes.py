"""Kubernetes by a kubectl of our own making that answers as kubectl is documented to: what it is asked, and what
becomes of its answers. No cluster is needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import SourceError, Trouble, UsageError
from meshdiag.logs.record import NS, Level, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.kubernetes import Kubernetes
from meshdiag.sources.kubernetes.kubectl import Cluster, log_arguments
from meshdiag.sources.kubernetes.pods import read_pods, selector_of
from meshdiag.sources.streams.window import Ask
from tests.fakeprogram import Answer, FakeProgram

EVERYTHING = Selection()
NOON_NS = 1_795_348_800 * NS
"""2026-11-22T12:00:00Z."""


def _pod(name: str, *containers: str, restarts: int = 0, waiting: str = "", terminated: bool = False) -> dict[str, Any]:
    """A pod as ``kubectl get -o json`` gives it."""

    def status(container: str) -> dict[str, Any]:
        state: dict[str, Any] = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": "x"}}
        if terminated:
            state = {"terminated": {"exitCode": 1}}
        found = {"name": container, "restartCount": restarts, "state": state, "lastState": {}}
        if restarts:
            found["lastState"] = {"terminated": {"exitCode": 1}}
        return (
            found
            if waiting and not restarts
            else {**found, "containerID": f"containerd://{name}-{container}-{restarts}"}
        )

    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {"containers": [{"name": one} for one in containers]},
        "status": {"containerStatuses": [status(one) for one in containers]},
    }


def _pods(*pods: dict[str, Any], when: tuple[str, ...] = ("get pods", "--output=json"), once: bool = False) -> Answer:
    return Answer(json.dumps({"kind": "List", "items": list(pods)}), when=when, once=once)


def _lines(*lines: tuple[float, str]) -> str:
    """Lines as ``--timestamps`` gives them, seconds after noon."""
    return "".join(f"2026-11-22T12:{int(second) // 60:02d}:{second % 60:012.9f}Z {text}\n" for second, text in lines)


def _log(pod: str, container: str, text: str, *more: str, **how: Any) -> Answer:
    return Answer(text, when=(f"logs {pod} ", f"--container={container}", *more), **how)


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeProgram]:
    """Makes the fake kubectl and puts it on PATH."""

    def make(*answers: Answer) -> FakeProgram:
        monkeypatch.setenv("PATH", str(tmp_path))
        return FakeProgram(tmp_path, "kubectl", *answers)

    return make


async def _read(source: Kubernetes, selection: Selection = EVERYTHING, tally: Tally | None = None) -> list[Record]:
    async with asyncio.timeout(30):
        return [record async for record in source.records(selection, tally or Tally())]


async def _error(source: Kubernetes) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await _read(source)
    assert str(caught.value).isprintable() and caught.value.hint and caught.value.source.startswith("Kubernetes")
    return caught.value


# reading -------------------------------------------------------------------------------------------------


async def test_pods_and_their_containers_merge_by_time(kubectl: Callable[..., FakeProgram]) -> None:
    """Every container of every pod is read, merged by the time of its lines, which lose their stamps."""
    kubectl(
        _pods(_pod("a", "app", "proxy"), _pod("b", "app")),
        _log("a", "app", _lines((1, "a1"), (5, "a5"))),
        _log("a", "proxy", _lines((2, '{"level":"warn","msg":"p2","component":"net"}'))),
        _log("b", "app", _lines((3, "b3"), (4.5, "b4"))),
    )
    records = await _read(Kubernetes(selector="app=mesh"))
    assert [record.message for record in records] == ["a1", "p2", "b3", "b4", "a5"]
    assert [record.file for record in records] == ["a/app", "a/proxy", "b/app", "b/app", "a/app"]
    assert [record.node for record in records] == ["a", "a", "b", "b", "a"]
    assert (records[1].level, records[1].component) == (Level.WARN, "net")
    assert records[3].time_ns == NOON_NS + 4_500_000_000


async def test_what_kubectl_is_asked(kubectl: Callable[..., FakeProgram]) -> None:
    """Context and namespace go with every run, the window as far as kubectl knows one, everything as one argument."""
    program = kubectl(_pods(_pod("a", "app")), _log("a", "app", _lines((1, "in"), (30, "out"), (5000, "far out"))))
    source = Kubernetes(["a"], namespace="mesh x", context="prod", container="app")
    records = await _read(
        source, Selection(since_ns=NOON_NS + 500, until_ns=NOON_NS + 20 * NS, patterns=(Pattern("n"),))
    )
    assert [record.raw for record in records] == [b"in"]
    common = ["--context=prod", "--namespace=mesh x"]
    assert program.asked == [
        [*common, "get", "pods", "--output=json", "--request-timeout=15s"],
        [*common, "logs", "a", "--container=app", "--timestamps", "--since-time=2026-11-22T11:59:58Z"],
    ]


async def test_the_last_records_are_asked_for_in_growing_parts(kubectl: Callable[..., FakeProgram]) -> None:
    """Lines that do not match are no reason to give fewer records: more lines are asked for, not all."""
    program = kubectl(
        _pods(_pod("a", "app")),
        _log("a", "app", _lines(*((second, "x") for second in range(5))), "--tail=256"),
        _log("a", "app", _lines(*((second, "hit" if second < 40 else "x") for second in range(59))), "--tail=2048"),
    )
    records = await _read(Kubernetes(["a"]), Selection(tail=2, patterns=(Pattern("hit"),)))
    assert [record.time_ns for record in records] == [NOON_NS + 38 * NS, NOON_NS + 39 * NS]
    assert len(program.asked) == 3


async def test_owners_are_asked_for_their_selector(kubectl: Callable[..., FakeProgram]) -> None:
    """KIND/NAME means all pods of it, found by its selector, whatever kubectl logs would choose."""
    owner = {
        "spec": {
            "selector": {
                "matchLabels": {"app": "mesh"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
            }
        }
    }
    program = kubectl(
        Answer(json.dumps(owner), when=("get deployment mesh",)),
        _pods(_pod("mesh-1", "app"), _pod("mesh-2", "app"), when=("get pods", "--selector=app=mesh,tier in (a,b)")),
        _log("mesh-1", "app", _lines((1, "one"))),
        _log("mesh-2", "app", _lines((2, "two"))),
    )
    assert [record.raw for record in await _read(Kubernetes(["deployment/mesh"]))] == [b"one", b"two"]
    assert len(program.asked) == 4


async def test_previous_instances_are_read_where_there_are_some(kubectl: Callable[..., FakeProgram]) -> None:
    """Of two pods only one was restarted: its earlier instance is read."""
    program = kubectl(
        _pods(_pod("a", "app"), _pod("b", "app", restarts=2)), _log("b", "app", _lines((1, "last words")))
    )
    assert [record.raw for record in await _read(Kubernetes(previous=True))] == [b"last words"]
    assert "--previous" in program.asked[-1]
    program.answer(_pods(_pod("a", "app")))
    assert "a/app has not been restarted" in str(await _error(Kubernetes(previous=True)))


async def test_a_container_that_waits_spoils_nothing(kubectl: Callable[..., FakeProgram]) -> None:
    """What has not started is told with its reason; one in a crash loop has a log and is read."""
    kubectl(
        _pods(
            _pod("a", "app", waiting="ImagePullBackOff"),
            _pod("b", "app", restarts=9, waiting="CrashLoopBackOff"),
            _pod("c", "job", terminated=True),
        ),
        _log("b", "app", _lines((1, "panic: boom"))),
        _log("c", "job", _lines((2, "done"))),
    )
    tally = Tally()
    assert [record.message for record in await _read(Kubernetes(), tally=tally)] == ["boom", "done"]
    assert len(tally.skipped) == 1 and "a/app has not started (ImagePullBackOff)" in tally.skipped[0]


async def test_one_log_that_fails_is_told(kubectl: Callable[..., FakeProgram]) -> None:
    """Of two containers one cannot be read: the other is, and what kubectl said is told."""
    said = 'Error from server (BadRequest): container "app" in pod "a" is waiting to start: ContainerCreating\n'
    kubectl(
        _pods(_pod("a", "app"), _pod("b", "app")),
        _log("a", "app", "", stderr=said, code=1),
        _log("b", "app", _lines((1, "fine"))),
    )
    tally = Tally()
    assert [record.raw for record in await _read(Kubernetes(), tally=tally)] == [b"fine"]
    assert len(tally.skipped) == 1 and "a/app: the container has not started" in tally.skipped[0]


# following -----------------------------------------------------------------------------------------------


async def test_following_goes_through_restarts_and_new_pods(kubectl: Callable[..., FakeProgram]) -> None:
    """A container that is restarted is read on without a double; a pod that appears is read from its beginning."""
    old = _lines((1, "a1"), (2, "a2"))
    kubectl(
        Answer("pod/a\n", when=("--watch",), once=True),
        Answer("pod/a\n", when=("--watch",), hangs=True),
        _pods(_pod("a", "app"), once=True),
        _pods(_pod("a", "app"), once=True),
        _pods(_pod("a", "app", restarts=1), _pod("b", "app")),
        _log("a", "app", old + _lines((3, "a3")), "--follow", once=True),
        _log("a", "app", _lines((3, "a3"), (9, "a9")), "--follow", hangs=True),
        _log("b", "app", _lines((4, "b4")), "--follow", hangs=True),
        _log("a", "app", old),
    )
    records = Kubernetes().follow(EVERYTHING, Tally())
    async with asyncio.timeout(20):
        got = [(await anext(records)).raw for _ in range(3)]
    await records.aclose()
    assert got[0] == b"a3" and sorted(got) == [b"a3", b"a9", b"b4"]


async def test_nothing_runs_on_when_the_reader_stops(kubectl: Callable[..., FakeProgram]) -> None:
    """Runs of kubectl that would go on for ever are ended with the reader."""
    program = kubectl(
        Answer("pod/a\n", when=("--watch",), hangs=True),
        _pods(_pod("a", "app")),
        _log("a", "app", _lines((1, "new")), "--follow", hangs=True),
        _log("a", "app", ""),
    )
    records = Kubernetes().follow(EVERYTHING, Tally())
    async with asyncio.timeout(20):
        assert (await anext(records)).raw == b"new"
    await records.aclose()
    assert len(program.asked) >= 4 and program.running == []


# saying no -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "trouble", "hint"),
    [
        (
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            Trouble.REFUSED,
            "context",
        ),
        (
            'Error from server (Forbidden): pods is forbidden: User "me" cannot list resource "pods"',
            Trouble.FORBIDDEN,
            "can-i",
        ),
        ("error: You must be logged in to the server (Unauthorized)", Trouble.UNAUTHORIZED, "sign in"),
        (
            "Unable to connect to the server: getting credentials: exec: executable aws not found",
            Trouble.UNAUTHORIZED,
            "sign in",
        ),
        ('error: context "nope" does not exist', Trouble.NOT_CONFIGURED, "get-contexts"),
        (
            "Error in configuration: context was not found for specified context: x",
            Trouble.NOT_CONFIGURED,
            "get-contexts",
        ),
        ('error: the server doesn\'t have a resource type "deploy"', Trouble.REJECTED, "api-resources"),
        (
            "Unable to connect to the server: dial tcp: lookup k8s.example on 10.0.0.2:53: no such host",
            Trouble.UNKNOWN_HOST,
            "VPN",
        ),
        ("Unable to connect to the server: dial tcp 10.1.2.3:443: i/o timeout", Trouble.TIMEOUT, "VPN"),
        ("Unable to connect to the server: x509: certificate signed by unknown authority", Trouble.TLS, "kubeconfig"),
        ('Error from server (NotFound): namespaces "nope" not found', Trouble.NOT_FOUND, "get pods"),
        ("error: unknown flag: --all-pods", Trouble.NOT_AVAILABLE, "newer"),
        ("Error from server (BadRequest): unable to parse requirement: found '='", Trouble.REJECTED, "app=mesh"),
        ("something \x1b[31modd\x07 " + "x" * 9999, Trouble.OTHER, "by hand"),
        ("", Trouble.OTHER, "by hand"),
    ],
)
async def test_every_no_is_one_sentence(
    kubectl: Callable[..., FakeProgram], said: str, trouble: Trouble, hint: str
) -> None:
    """kubectl's last word, what it means and what to try; its own log lines before it do not count."""
    noise = "E1122 11:00:00.000000   99 memcache.go:265] couldn't get current server API group list\n"
    kubectl(Answer(stderr=noise + said + "\n" if said else "", code=1))
    error = await _error(Kubernetes())
    assert error.trouble is trouble and hint in error.hint and len(str(error)) < 800


async def test_kubectl_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubectl is one sentence with another way."""
    monkeypatch.setenv("PATH", str(tmp_path))
    error = await _error(Kubernetes())
    assert error.trouble is Trouble.NOT_AVAILABLE and "kubectl is not installed here" in str(error)


async def test_kubectl_that_hangs_is_bounded(kubectl: Callable[..., FakeProgram]) -> None:
    """A list that never ends costs its time and one sentence, and the run is ended."""
    program = kubectl(Answer('{"items":', hangs=True))
    assert (await _error(Kubernetes(timeout_s=0.5))).trouble is Trouble.TIMEOUT
    assert program.running == []


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "not json",
        "[]",
        '{"items": 3}',
        '{"items": [{}]}',
        "null",
        '{"items":[{"metadata":{"name":"a"},"spec":{"containers":[{}]}}]}',
    ],
)
async def test_answers_of_another_shape_are_told(kubectl: Callable[..., FakeProgram], answer: str) -> None:
    """Whatever comes instead of a list of pods is no traceback."""
    kubectl(Answer(answer))
    assert (await _error(Kubernetes())).trouble is Trouble.MALFORMED


async def test_hostile_names_do_nothing(kubectl: Callable[..., FakeProgram]) -> None:
    """A pod named to move the cursor appears in a sentence without doing so."""
    kubectl(_pods(_pod("evil\x1b[2J\nname", "app", waiting="why\x07")))
    assert "evil" in str(await _error(Kubernetes(["evl"]))) and "why" in str(await _error(Kubernetes()))


async def test_names_that_mean_no_pod(kubectl: Callable[..., FakeProgram]) -> None:
    """A mistyped pod or container is guessed; no pods, and too many, are errors that say what to do."""
    kubectl(
        _pods(_pod("mesh-trainer-0", "app"), _pod("mesh-trainer-1", "app")),
        _log("mesh-trainer-0", "app", _lines((1, "x"))),
    )
    assert "did you mean mesh-trainer-0" in str(await _error(Kubernetes(["mesh-tranier-0"])))
    assert "no container is called ap; did you mean app?" in str(await _error(Kubernetes(container="ap")))
    assert "2 containers fit, more than the 1" in str(await _error(Kubernetes(max_requests=1)))
    tally = Tally()
    assert len(await _read(Kubernetes(["mesh-trainer-0", "nope*"]), tally=tally)) == 1
    assert "no pod is called nope*" in tally.skipped[0]
    kubectl(_pods())
    assert "no pod bears app=x" in str(await _error(Kubernetes(selector="app=x")))
    assert "right namespace" in str(await _error(Kubernetes()))
    with pytest.raises(UsageError, match="is no name of a pod"):
        Kubernetes(["--kubeconfig=evil"])


# building --------------------------------------------------------------------------------------------------

MOMENTS = st.one_of(st.none(), st.integers(0, 4_000_000_000 * NS))


@given(MOMENTS, st.one_of(st.none(), st.integers(0, 10**7)), st.booleans(), st.booleans())
def test_log_arguments_ask_for_no_less(since_ns: int | None, tail: int | None, follow: bool, previous: bool) -> None:
    """The moment is rounded down, each part is there when it is asked for and only then."""
    arguments = log_arguments("pod", "app", Ask(since_ns, None, tail, follow), previous=previous)
    assert arguments[:4] == ["logs", "pod", "--container=app", "--timestamps"]
    named = dict(one[2:].partition("=")[::2] for one in arguments[4:])
    assert set(named) == {
        name
        for name, there in (
            ("since-time", since_ns is not None),
            ("tail", tail is not None),
            ("follow", follow),
            ("previous", previous),
        )
        if there
    }
    if since_ns is not None:
        from meshdiag.sources.streams.lines import stamped

        asked_ns = stamped(named["since-time"].encode())[0]
        assert asked_ns is not None and since_ns - NS < asked_ns <= since_ns and "." not in named["since-time"]


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(WORDS, WORDS)
def test_names_stay_one_argument(namespace: str, context: str) -> None:
    """Whatever a name holds, it is the value of its own flag."""
    assert Cluster(namespace, context).flags == [f"--context={context}", f"--namespace={namespace}"]


@pytest.mark.parametrize(
    ("owner", "selector"),
    [
        ({"spec": {"selector": {"matchLabels": {"a": "b", "c": "d"}}}}, "a=b,c=d"),
        ({"spec": {"selector": {"app": "mesh"}}}, "app=mesh"),
        (
            {
                "spec": {
                    "selector": {
                        "matchExpressions": [
                            {"key": "a", "operator": "NotIn", "values": ["x"]},
                            {"key": "b", "operator": "Exists"},
                            {"key": "c", "operator": "DoesNotExist"},
                        ]
                    }
                }
            },
            "a notin (x),b,!c",
        ),
        ({"spec": {}}, ""),
    ],
)
def test_selectors_are_written_as_kubectl_takes_them(owner: dict[str, Any], selector: str) -> None:
    """Deployments, services, expressions of every kind, and what selects nothing."""
    assert selector_of(owner) == selector


def test_containers_of_every_kind_are_known() -> None:
    """Init and debugging containers are containers; a pod that is not scheduled has reasons to wait."""
    pod = _pod("a", "app")
    pod["spec"]["initContainers"] = [{"name": "init"}]
    pod["spec"]["ephemeralContainers"] = [{"name": "debug"}]
    assert [(one.shown, bool(one.waiting)) for one in read_pods({"items": [pod]})] == [
        ("a/init", True),
        ("a/app", False),
        ("a/debug", True),
    ]


def test_evidence_is_one_command_a_person_would_type() -> None:
    """With a selector kubectl shows ten lines unless it is told otherwise."""
    selection = Selection(since_ns=NOON_NS + 1, patterns=(Pattern("boom", fixed=True),))
    (evidence,) = Kubernetes(selector="app in (a, b)", namespace="mesh").evidence(selection)
    assert evidence.command == (
        "kubectl --namespace=mesh logs '--selector=app in (a, b)' --all-containers --prefix --timestamps --tail=-1 "
        "--max-log-requests=20 --since-time=2026-11-22T12:00:00Z | grep -F -e boom"
    )
    named = Kubernetes(["a", "deployment/b"], container="app", previous=True).evidence(EVERYTHING)
    assert [one.command.split()[2] for one in named] == ["a", "deployment/b"]
    assert all("--container=app" in one.command and "--previous" in one.command for one in named)
