"""The verb `tfrec tune`: a search for better settings within a budget.

Pipeline is imported inside the function only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec.cli import flags


def tune(options: argparse.Namespace) -> None:
    """search for better settings of towers and ranker, on the validation window alone"""
    from pipeline.configuration import choose
    from pipeline.demo.steps import locked
    from pipeline.run_checks import check_folders
    from pipeline.run_file import find_run
    from pipeline.tables import ready_run_of
    from tfrec.atomic_file import write_text

    file = find_run(options.run)
    check_folders(file)
    with locked(Path(file.out)):
        run = ready_run_of(file)
        from pipeline.experiments.snippet import snippet  # importing TFX takes seconds
        from pipeline.experiments.tuning import search, transform

        transform(run)
        tuned = search(run, options.minutes)
    keys: dict[str, str | list[str]] = {"preset": file.preset}
    if file.preset == "auto":  # what it chose for these tables, since the search was around it
        keys = {"preset": choose(file).preset}
        if run.config.evaluation.label_kinds:
            keys["label_kinds"] = list(run.config.evaluation.label_kinds)
    text = snippet(tuned, keys, Path(file.file).name or f"run {file.name}")
    out = Path(run.pipeline_root) / "tuned.yaml"
    write_text(out, text)
    print(f"\n{text}\nwritten to {out}")


def tune_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `tfrec tune`."""
    flags.run(parser)
    parser.add_argument(
        "--minutes", type=_minutes, default=60.0, help="budget of the whole study, earlier calls included (60)"
    )


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")
    return minutes
