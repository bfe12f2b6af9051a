"""What a person types: one module a command, each loaded only when it is called (or listed by ``--help``).

A module holds one click command called ``command``: it parses, calls the library, renders and returns the exit
code. Modules that begin with an underscore hold what several commands share.
"""
