"""Judging certificates: plain functions of what was found, the roots that are trusted, and a moment."""
