"""The log engine: opens log files, finds a time window in them, reads records, selects, clusters and follows them.

A *line* is what ends with a newline; a *record* is what one write of a program left: a line, and the lines that
continue it (a stack trace). A *format* (``formats/``) knows how records of one kind look; a *selection*
(``selection``) is what a user asks for, as plain data that every source understands: the files here, and Loki,
Docker, the journal and Kubernetes in ``meshdiag.sources``. Nothing here imports asyncio or touches the network.

    record.py      Level and Record: what every source gives
    selection.py   Selection: which records are wanted; the exact test that decides
    tally.py       Tally: what was read, skipped, cut or not understood
    levels.py      every spelling and number of a level
    timestamps.py  every way to write a time
    formats/       how each kind of log line is read
    following.py   records as they are written; arriving.py, tailing.py, reels.py, watching.py under it
    patterns.py    recurring messages, and new ones; masks.py, merging.py, skeletons.py under it
    rates.py       how many records over time

    search.py      search, copy, count: what the commands call
    assembling.py  records from lines that others took one by one (containers, the journal)
    files.py       which files a user means, with what rotation left of them
    finding.py     goes through files for one selection: opened or not, which part is read, in what order
    reading.py     an open log: compression (compressed.py, zstdframes.py), format, bytes
    blocks.py      bytes as blocks of whole records, in one buffer
    seeking.py     a time window by few looks
    prefilter.py   candidate lines of a block: what every wanted record holds (necessary.py for expressions)
    scanning.py    the wanted records of a block
    matching.py    the exact test of one record, which has the last word; regexes.py: patterns without backtracking
    copying.py     raw lines to a descriptor, by two processes on large files (helping.py)
    surroundings.py  the records beside wanted ones
    twins.py       records that several files hold, told once
    marking.py     where in a text the patterns match, for whoever shows it
"""
