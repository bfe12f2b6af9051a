"""Prometheus rule files: read, checked as Prometheus checks them, and evaluated over samples held in memory.

groups.py        a rule, a group, a file: what reading gives
reading.py       meshdiag.yamltree to groups; every problem with its line (validating.py judges single rules)
loading.py       paths and globs to rule files
templates/       Go's text/template as Prometheus uses it in labels and annotations
evaluating.py    recording and alerting rules stepped through time over a ``promql.store.Store``
builtin.py       the mesh's own rules (mesh.yml), word for word from its documentation
"""
