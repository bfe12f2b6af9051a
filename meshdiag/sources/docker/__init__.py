"""Docker's containers as a log source, over the Engine API (Podman's service answers the same).

    Docker(
        containers=("mesh-*", "3f2a…"),        names, ids (or their beginnings), globs, names of compose services
        labels=("app=mesh", "tier"),           all of which a container must bear
        services=("trainer",),                 compose services, any of which it must be of
        host="",                               as DOCKER_HOST; empty: DOCKER_HOST, the context in use, the usual sockets
        formats=(), zone=UTC,                  the user's own log formats; the zone of times that name none
    )

Nothing given means all containers, the stopped ones included: a crashed one has the most to say. Every record bears
the container's name as ``file``, as ``node`` where the line names none, and its compose service as ``component``.

    address.py      where the engine is: DOCKER_HOST, contexts, sockets
    engine.py       the calls of the API, every failure explained
    wire.py         answers that go on and on, over a local socket
    frames.py       the multiplexed stream and that of a terminal, cut into lines
    containers.py   which containers are meant
    state.py        how a container fares, by inspecting it
    watching.py     ``Containers``: how those of an engine fare, and the last that they said
    source.py       ``Docker``, the log source

Sources: https://docs.docker.com/engine/api/ (v1.41: ContainerLogs, ContainerAttach for the frames, SystemEvents), and
what engines answer (20.10.24).
"""

from meshdiag.sources.docker.address import EngineAddress, engine_address
from meshdiag.sources.docker.source import Docker

__all__ = ["Docker", "EngineAddress", "engine_address"]
