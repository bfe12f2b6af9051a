"""``meshdiag schema``: the JSON Schema of what ``-o json`` prints."""

from __future__ import annotations

import click

SECTION = "Set it up"


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of every '-o json' answer."""
    from importlib.resources import files

    click.echo(files("meshdiag").joinpath("report.schema.json").read_text("utf-8"), nl=False)
