"""Recurring messages: what varies is masked, what is alike is put together, what is new is told."""
