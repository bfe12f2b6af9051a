"""The real programs that tests start: a test that needs one says so first."""

from __future__ import annotations

import os
import shutil

import pytest

PACKAGES = {
    "prometheus": ("prometheus", "prometheus"),
    "promtool": ("promtool", "prometheus"),
    "alertmanager": ("prometheus-alertmanager", "prometheus-alertmanager"),
    "node-exporter": ("prometheus-node-exporter", "prometheus-node-exporter"),
    "victoria-metrics": ("victoria-metrics", "victoria-metrics"),
    "dockerd": ("dockerd", "docker.io"),
    "docker": ("docker", "docker.io"),
    "busybox": ("busybox", "busybox-static"),
    "blackbox-exporter": ("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
    "dot": ("dot", "graphviz"),
    "ping": ("ping", "iputils-ping"),
    "nsenter": ("nsenter", "util-linux"),
    "setpriv": ("setpriv", "util-linux"),
    "ip": ("ip", "iproute2"),
    "journalctl": ("journalctl", "systemd"),
}
"""Our name for a program, its file, and the Debian package that holds it."""


def need(name: str) -> str:
    """The path of a program. Where it is missing the test is skipped; in CI it fails."""
    program, package = PACKAGES.get(name, (name, name))
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed (Debian package {package})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def need_namespaces() -> None:
    """Root, network namespaces and TUN devices. Where the machine lacks one the test is skipped; in CI it fails."""
    from meshdiag.lab.network.namespaces import TUN, may_make

    need("nsenter")
    if os.geteuid() == 0 and may_make() and os.access(TUN, os.W_OK):
        return
    reason = "this machine lets nobody make network namespaces with TUN devices"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
