"""Grafana: its health, its datasources and whether it reaches them, its dashboards; and its front door.

client.py       what is asked of its API
datasources.py  how a datasource of each type is tried, through Grafana and from here
login.py        whether it opens to the documented default password
"""
