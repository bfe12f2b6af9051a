"""Metrics straight from the nodes' own pages, evaluated here: what is left when the monitoring is down.

source.py      the metrics protocol: gathers queries, takes looks, evaluates
pages.py       the nodes' pages, fetched side by side
observed.py    the store filled from them, labelled as Prometheus would
absence.py     why an answer is empty
reading.py     some nodes' pages as they are, to compare with what others say
history.py     a store from text with timestamps
crew.py        many at a time, slow ones aside
transport.py, sockets.py, wire.py  the fast HTTP path
"""

from meshdiag.sources.scrape.source import Scrape

__all__ = ["Scrape"]
