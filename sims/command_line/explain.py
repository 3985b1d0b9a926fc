"""The command `explain`."""

from pathlib import Path

import click

from sims.command_line.options import FOLDER

__all__ = ["explain"]


@click.command()
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
    from theory.claims import all_claims

    if claims:
        click.echo("\n\n".join(explanation(claim, source) for claim in claims_by_id(claims)))
    else:
        click.echo(overview(all_claims(), source))
