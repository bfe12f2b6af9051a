"""ICMP echo of many addresses over one socket a family, timed by the kernel's clock."""

from meshdiag.sources.probing.icmp.pinger import Pinger

__all__ = ["Pinger"]
