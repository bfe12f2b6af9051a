"""Probing: how far a target is and whether it answers, by ICMP echo, TCP connect, TLS handshake or HTTP."""

from meshdiag.sources.probing.answers import Answer, Method, Plan, Probed, ProbeTrouble, Target
from meshdiag.sources.probing.prober import Prober

__all__ = ["Answer", "Method", "Plan", "ProbeTrouble", "Probed", "Prober", "Target"]
