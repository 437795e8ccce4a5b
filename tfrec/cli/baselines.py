"""The verb `tfrec baselines`: tuned baselines beside a run's model.

Pipeline is imported inside the function only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec.cli import flags


def baselines(options: argparse.Namespace) -> None:
    """tune item-kNN, EASE, iALS and others on a run's data and print them beside its model"""
    from pipeline.demo.steps import locked
    from pipeline.run_checks import check_folders
    from pipeline.run_file import find_run
    from pipeline.tables import ready_run_of
    from tfrec.evaluation.baselines.tuning import select_names
    from tfrec.reports.metric_names import parse_metrics

    metrics, names = parse_metrics(options.metrics), select_names(options.only)
    file = find_run(options.run)
    check_folders(file)
    with locked(Path(file.out)):
        run = ready_run_of(file)
        from pipeline.experiments.baselines import Measured, make_examples, measure  # importing TFX takes seconds

        examples = make_examples(run)
    measured = measure(run, examples, names)
    from tfrec.reports.score_tables import render_scores

    print(render_scores(measured.protocol, measured.scores, metrics))
    if options.json:
        from tfrec import results_json
        from tfrec.atomic_file import write_text

        write_text(Path(options.json), results_json.dump(Measured, measured))
        print(f"\nwritten to {options.json}")


def baselines_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `tfrec baselines`."""
    flags.run(parser)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help='measure only this baseline, such as EASE; repeatable; "LightGBM over these" is measured only so',
    )
    flags.metrics(parser)
    parser.add_argument("--json", metavar="PATH", help="write protocol and scores as JSON too")
