"""Kubernetes as a log source, read through ``kubectl``, with the access that the user's kubectl has.

    Kubernetes(
        pods=("mesh-trainer-0", "mesh-*", "deployment/mesh"),   names, globs, or KIND/NAME of what owns pods
        selector="app=mesh",                                     a label selector, as kubectl -l takes it
        namespace="", context="",                                empty: those that kubectl has in use
        container="",                                            empty: all containers of a pod, init ones included
        previous=False,                                          what the instance before the last restart wrote
        max_requests=20,                                         containers that are read at the same time, at most
        formats=(), zone=UTC,                                    the user's own log formats; the zone of bare times
    )

Each container is read by a ``kubectl logs`` of its own, so that pods merge by time and one that is still waiting spoils
nothing for the others. A record bears ``pod/container`` as ``file``, the pod as ``node`` and the container as
``component`` where the line names none.

    kubectl.py   runs of kubectl, every failure explained
    pods.py      which pods and containers are meant
    sayings.py   what kubectl says when it fails
    source.py    ``Kubernetes``, the log source

Sources: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/ and kubectl_get/; the Pod API, version v1.
With a selector, ``kubectl logs`` shows ten lines a container unless ``--tail`` says otherwise, reads pods one after
the other, and fails as a whole when one container has not started.
"""

from meshdiag.sources.kubernetes.source import Kubernetes

__all__ = ["Kubernetes"]
