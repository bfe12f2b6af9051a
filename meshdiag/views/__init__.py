"""Views: what the data commands put into their tables. Async functions from sources to a ``model.Table``.

A view asks the same sources as the checks of its command, in the same run, and judges nothing.
"""
