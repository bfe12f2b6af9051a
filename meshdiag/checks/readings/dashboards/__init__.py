"""Grafana's dashboards: read, their variables put in, every query asked.

panels.py      a dashboard's JSON as panels, queries and variables
variables.py   what a variable may stand for, and how it is put into a query
naming.py      which datasource a query means
resolving.py   the values of a dashboard's variables, asked where they come from Prometheus
asking.py      one expression asked: once, with the reason where it gives nothing
boards.py      all queries of all dashboards that are meant
"""
