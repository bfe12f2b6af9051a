"""Probing: how far a target is and whether it answers, by ICMP echo, TCP connect, TLS handshake or HTTP."""

from meshdiag.sources.probing.answers import Answer, Method, Plan, Probed, ProbeTrouble, Target

__all__ = ["Answer", "Method", "Plan", "ProbeTrouble", "Probed", "Target"]
