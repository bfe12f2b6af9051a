"""Every fault of the lab: what it does to the mesh, on which nodes, and what meshdiag should say of it.

A fault is a function marked with ``@fault``, in the module of its subject: it changes a freshly built mesh and
returns its expectations, the consequences that a real mesh would show included. Marking it is all that adding one
takes; the modules' order is the order in which faults are put into a mesh.
"""

# isort: off
from meshdiag.lab.faults import nodes, capacity, links, consensus, learning, security, certificates, logs, monitoring

# isort: on
from meshdiag.lab.faults.registry import FAULTS, Expectation, Fault, Injected, find_fault, inject

__all__ = [
    "FAULTS",
    "Expectation",
    "Fault",
    "Injected",
    "capacity",
    "certificates",
    "consensus",
    "find_fault",
    "inject",
    "learning",
    "links",
    "logs",
    "monitoring",
    "nodes",
    "security",
]
