"""Logs that others keep line by line: what Docker, the journal and Kubernetes have in common as log sources.

    lines.py      lines as they come: cut from chunks, bounded, the stamp in front of them read
    process.py    the lines that a program prints, and how it ended
    breaks.py     breaks of the connection: borne, waited out, told
    evidence.py   the grep at the end of a command that asks again
    picking.py    the exact test with the records around a match; streams merged by time
    resuming.py   where reading stopped, so that it goes on without a loss and without a double
    window.py     a part of many logs, oldest first: since, until, the last so many
    following.py  many logs as they grow, through restarts and breaks

It is shared as ``sources/http`` is; the sources that use it do not know each other.
"""
