"""What kubectl says on stderr when it fails, and what it means."""

from __future__ import annotations

import re

from meshdiag.errors import Trouble

LOGGED = re.compile(r"[EWI]\d{4} \d\d:\d\d:\d\d")
SAYINGS = (
    (
        r"\(Forbidden\)|is forbidden",
        Trouble.FORBIDDEN,
        "reading this is forbidden",
        "ask for the right to get, list and watch pods and to get pods/log; kubectl auth can-i get pods/log tells",
    ),
    (
        r"Unauthorized|must be logged in|provide credentials|getting credentials|no Auth Provider|token .*expired",
        Trouble.UNAUTHORIZED,
        "the cluster does not accept the credentials",
        "sign in again; see kubectl config current-context",
    ),
    (
        r"context .*(does not exist|was not found)|no context exists",
        Trouble.NOT_CONFIGURED,
        "there is no such context",
        "see kubectl config get-contexts",
    ),
    (
        r"connection to the server .* was refused|connection refused",
        Trouble.REFUSED,
        "the cluster's server does not answer",
        "is the right context in use? see kubectl config current-context and kubectl cluster-info",
    ),
    (
        r"no such host|lookup .*:",
        Trouble.UNKNOWN_HOST,
        "the cluster's host name is unknown",
        "check VPN and DNS, and kubectl cluster-info",
    ),
    (
        r"i/o timeout|context deadline exceeded|Client\.Timeout|TLS handshake timeout|timed out",
        Trouble.TIMEOUT,
        "the cluster does not answer in time",
        "check VPN and network, and kubectl cluster-info",
    ),
    (
        r"no route to host|network is unreachable",
        Trouble.UNREACHABLE,
        "the network does not reach the cluster",
        "check VPN and routes",
    ),
    (
        r"x509|certificate",
        Trouble.TLS,
        "the cluster's certificate is not trusted",
        "check certificate-authority in the kubeconfig",
    ),
    (
        r"waiting to start|is not available|PodInitializing|ContainerCreating",
        Trouble.STARTING,
        "the container has not started",
        "see kubectl describe pod",
    ),
    (
        r"previous terminated container .* not found",
        Trouble.NOT_FOUND,
        "there is no instance before this one",
        "leave out previous",
    ),
    (r"\(NotFound\)|not found|is not valid for pod", Trouble.NOT_FOUND, "it is not there", "see kubectl get pods"),
    (r"unknown flag|unknown shorthand", Trouble.NOT_AVAILABLE, "this kubectl is too old", "install a newer kubectl"),
    (
        r"doesn't have a resource type",
        Trouble.REJECTED,
        "the cluster does not know this kind",
        "see kubectl api-resources",
    ),
    (
        r"unable to parse requirement|Invalid value|invalid label|found '",
        Trouble.REJECTED,
        "it refuses the question",
        "write the selector as app=mesh,tier in (a,b)",
    ),
    (
        r"unable to retrieve container logs|failed to try resolving symlinks|no such file",
        Trouble.NOT_AVAILABLE,
        "the node has no log of this container any more",
        "read it where logs are collected (Loki)",
    ),
)
"""A pattern of its last words, the trouble, what is so, and what to try; the first that fits counts."""
