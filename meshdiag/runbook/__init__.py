"""Procedures as documents: Markdown that a person reads and meshdiag runs."""
