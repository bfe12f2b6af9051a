"""``meshdiag completion``: the completion script of a shell."""

from __future__ import annotations

import click

SECTION = "Set it up"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: meshdiag completion bash > ~/.local/share/bash-completion/completions/meshdiag
    zsh:  meshdiag completion zsh > "${fpath[1]}/_meshdiag"
    fish: meshdiag completion fish > ~/.config/fish/completions/meshdiag.fish
    """
    from meshdiag.completion_scripts import script

    click.echo(script(shell), nl=False)
