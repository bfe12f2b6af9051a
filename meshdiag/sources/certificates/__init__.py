"""Certificates where they are: in files of every kind, in manifests, and as servers send them.

``read_paths`` (``files.py``) reads files, ``fetch`` (``endpoints.py``) asks servers, ``load_trust`` (``trust.py``)
reads the roots. Each needs the library cryptography, so a command imports it where it is used. Nothing is judged here.
"""
