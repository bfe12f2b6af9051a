"""Log files found and opened: paths and what rotation left of them, compression, the format of each."""
