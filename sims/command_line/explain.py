"""The command `explain`."""

from pathlib import Path

import click

from sims.command_line.options import FOLDER

__all__ = ["explain"]


@click.command(short_help="Explain claims: test, verdict and sources; alone, list all.")
@click.argument("claims", nargs=-1, metavar="[CLAIM]...")
@click.option(
    "--from",
    "source",
    type=FOLDER,
    default=Path("results"),
    show_default=True,
    help="Folder of stored results, on which the claims are judged.",
)
def explain(claims: tuple[str, ...], source: Path) -> None:
    """Print statement, idea of the proof, test, verdict and sources of every CLAIM, such as C6 or "T2 local"; alone, list all."""
    from sims.ledger.explain import claims_by_id, explanation, overview
    from sims.ledger.screen import terminal_width
    from theory.claims import all_claims

    width = min(terminal_width(), 118)
    if claims:
        click.echo("\n\n".join(explanation(claim, source, width) for claim in claims_by_id(claims)))
    else:
        click.echo(overview(all_claims(), source, width))
