"""The command `run`."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sims.command_line.options import DASK, FOLDER, SMALL, WORKERS, executor_of

if TYPE_CHECKING:
    from sims.experiments import Experiment

__all__ = ["run"]

_POINTS = click.option(
    "--points", type=click.IntRange(1, 100_000), metavar="N", help="Training points N, for the cases that can have as many."
)
_SET = click.option(
    "--set",
    "settings",
    metavar="SETTING=VALUE",
    multiple=True,
    help="Set what NAME --help lists, such as --set p=0.3,0.6 --set l2=0.05 --set seeds=0:16.",
)
_PROBLEM = click.option("--problem", metavar="DATA:N:LEARNER", help="One case on other data, such as fair:24:logistic.")
_OUT = click.option(
    "--out", type=FOLDER, help="Folder for results [default: results; results/changed with --set, --problem or --points]."
)


class _Run(click.Command):
    """The command with a help text that ends with what can be set in the experiment NAME, if it is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["arguments"] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = [argument for argument in ctx.meta.get("arguments", []) if not argument.startswith("-")]
        if not words:
            return
        from sims.experiments import all_experiments  # only now: it takes as long as most commands
        from sims.experiments.shared.own_file import experiment_in, is_file_name

        for argument in words:
            if argument in all_experiments():
                _write_settings(all_experiments()[argument], formatter)
            elif is_file_name(argument) and Path(argument).is_file():
                _write_settings(experiment_in(Path(argument))[0], formatter)


def _write_settings(experiment: "Experiment", formatter: click.HelpFormatter) -> None:
    """Write what can be set in an experiment: names, defaults and meanings, under the experiment, the problem and learners."""
    from sims.experiments.shared.changes import settable
    from sims.experiments.shared.settings import Setting, shown

    headings = dict[str, dict[str, Setting]]()
    for config in (*experiment.cases, *experiment.small):
        for heading, settings in settable(experiment, config).items():
            for setting in settings.values():
                headings.setdefault(heading, {}).setdefault(setting.short, setting)
    for heading, settings in headings.items():
        title = {"experiment": f"Settings of {experiment.name}", "problem": "Settings of its problem"}.get(
            heading, f"Of {heading}"
        )
        with formatter.section(title):
            rows = [
                (f"{s.short}={s.type_name}", f"{s.text}{' ' if s.text else ''}[first case: {shown(s.default)}]")
                for s in settings.values()
            ]
            if rows:
                formatter.write_dl(rows)


@click.command(cls=_Run, short_help="Run the cases of one experiment, judge its claims.")
@click.argument("name")
@SMALL
@_SET
@_PROBLEM
@_POINTS
@_OUT
@WORKERS
@DASK
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
def run(
    name: str,
    small: bool,
    settings: tuple[str, ...],
    problem: str | None,
    points: int | None,
    out: Path | None,
    workers: int | None,
    dask: str | None,
    as_json: bool,
) -> None:
    """Run every case of the experiment NAME, store the results and print a summary.

    NAME is one that the command `list` shows, or a Python file of your own with EXPERIMENT = Experiment(..). Every table of
    responses is stored block by block: after an interrupt or a crash the same command resumes.
    """
    from sims.experiments.shared.cases import jobs_of, run_cases
    from sims.experiments.shared.changes import Changes
    from sims.ledger.screen import show_run
    from sims.ledger.text import summary_json

    experiment, module = _found(name)
    changes = Changes(tuple(_pair(text) for text in settings), problem, points)
    jobs = jobs_of([experiment], small=small, changes=changes, module=module)
    out = out or (Path("results") / "changed" if changes else Path("results"))
    with executor_of(workers, dask, small) as executor:
        results = run_cases(jobs, out=out, executor=executor, quiet=as_json)[experiment.name]
    if as_json:
        click.echo(json.dumps([summary_json(result) for result in results], indent=2))
    else:
        show_run(experiment.name, results, out, small=small)
        if changes:
            click.echo(_beside(out, experiment.name, len(results)))


def _found(name: str) -> "tuple[Experiment, str]":
    """Return an experiment of the package, or that of a file with the name of its module."""
    from sims.experiments import all_experiments
    from sims.experiments.shared.own_file import experiment_in, is_file_name

    experiments = all_experiments()
    if name in experiments:
        return experiments[name], ""
    if is_file_name(name):
        return experiment_in(Path(name))
    close = get_close_matches(name, list(experiments), 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise click.BadParameter(
        f"experiment {name!r} is unknown, expected one of {', '.join(experiments)}, or a Python file of your own{hint}"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"{text!r}, expected SETTING=VALUE, such as p=0.3,0.6", param_hint="'--set'")
    return name.strip().replace("-", "_"), value


def _beside(out: Path, experiment: str, n_cases: int) -> str:
    """Say that cases were changed, and where others are stored too, which claims and figures then see as well."""
    others = len(list((out / experiment).glob("*.zarr"))) - n_cases
    return f"Changed cases, in {out}." + (f" Claims and figures there also see its {others} other cases." if others > 0 else "")
