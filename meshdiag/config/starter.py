"""The configuration file that ``meshdiag config init`` writes: everything is there, as a comment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from meshdiag.errors import UsageError

STARTER = """\
# meshdiag: which mesh to look at, how to reach it, what counts as fine.
# Every value here is a comment; without them the built-in defaults are in force ('meshdiag config show').
# Flags and MESHDIAG_… variables go before this file, and so does a ./meshdiag.toml in the working directory.

# The context that is used when neither --context nor MESHDIAG_CONTEXT names one.
#default_context = "prod"

# One table a mesh.
#[contexts.prod]
#job = "agent-mesh"              # the scrape job of the mesh in Prometheus
#node_label = "node"             # the labels that name a node, its role and its peer-to-peer address
#role_label = "role"
#peer_label = "peer_address"
#logs = ["/app/logs/agent-mesh.log", "/app/logs/agent-mesh.json", "/app/logs/consensus.log"]
#rules = ["rules/*.yml"]          # Prometheus' rule files, for 'meshdiag alerts' while Prometheus is away
#runbook_paths = ["runbooks"]      # folders of your own pages; of two with one name yours is meant
#certificates = ["/etc/mesh/tls/*.pem"]  # files, globs or folders, for 'meshdiag certs'
#peer_ca_file = "mesh-ca.pem"     # whose signature the nodes trust on their peer ports
#loki_selector = '{job="agent-mesh"}'  # the streams of the mesh in Loki
#nodes = ["node-1:9091", "https://node-2:9091/metrics"]
#node_files = ["targets/*.json"] # or the files of Prometheus' file_sd
#grafana = false                 # a source that this mesh does not have

# How to reach a source: prometheus, alertmanager, grafana, loki, jaeger, tempo.
#[contexts.prod.prometheus]
#url = "https://prometheus.example:9090/base/path"
#timeout = "5s"
#ca_file = "ca.pem"              # paths are looked for from the folder of this file
#cert_file = "client.pem"
#key_file = "client.key"
#headers = { X-Scope-OrgID = "team-a" }
#username = "oncall"
#password_command = "pass show prometheus"  # or password_file, password_env; or token_file, token_env, token_command

#[contexts.prod.alertmanager]
#url = "https://alertmanager.example:9093"

# How the nodes' own pages are fetched: the same keys, without url.
#[contexts.prod.scrape]
#timeout = "3s"

# The blackbox_exporters beside the nodes, for 'meshdiag peers --matrix'; {host} is the host of each node.
#[contexts.prod.blackbox]
#url = "http://{host}:9115"
#module = "tcp_connect"          # one of their blackbox.yml
#timeout = "2s"                  # for one probe
#count = 3                       # probes of each link

# Thresholds: a number moves the default bound, a text is a range as Nagios writes it. 'meshdiag checks' lists them.
#[contexts.prod.checks."consensus.round-duration"]
#warn = 15
#fail = "~:60"

# How to read log lines that meshdiag does not know. Groups: time, level, component, node, message; others are fields.
#[logs.formats.gateway]
#regex = '^(?P<time>\\S+ \\S+) \\[(?P<level>\\w+)\\] (?P<message>.*)$'

# For every context; the context's own goes first.
#[checks."capacity.cpu"]
#warn = 80
"""


def write_starter(path: Path, *, force: bool = False) -> None:
    """Write the file, whole or not at all, readable by its owner alone. Raises ``UsageError`` when it is there
    already (without ``force``) or cannot be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(STARTER)
                stream.flush()
                os.fsync(stream.fileno())
            if force:
                temporary.replace(path)
            else:
                path.hardlink_to(temporary)  # fails where there is a file, even one made this very moment
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="--force writes over it, --path writes elsewhere") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
