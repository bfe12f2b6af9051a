"""What the shell is offered for the values of flags: asked for at the press of a key, so nothing is imported before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def complete_context(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``--context`` with the contexts of the configuration."""
    from meshdiag.completing import complete_contexts

    return complete_contexts(ctx, param, incomplete)


def complete_check(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a check id."""
    from meshdiag.completing import complete_checks

    return complete_checks(ctx, param, incomplete)


def complete_runbook(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete what names a runbook."""
    from meshdiag.completing import complete_runbooks

    return complete_runbooks(ctx, param, incomplete)


def complete_metric(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a metric name, from the server when it is quick."""
    from meshdiag.completing import complete_metric_names

    return complete_metric_names(ctx, param, incomplete)


def complete_matcher(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``label=value``, from the server when it is quick."""
    from meshdiag.completing import complete_labels

    return complete_labels(ctx, param, incomplete)
