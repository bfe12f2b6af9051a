"""meshdiag: the first command an on-call engineer of an Agent Mesh types."""

__version__ = "0.1.0"
