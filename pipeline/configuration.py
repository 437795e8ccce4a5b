"""The run that a shop's file describes: the preset's configuration with the file's settings."""

from __future__ import annotations

import dataclasses

from pipeline.auto_labels import with_default_labels
from pipeline.auto_preset import Choice, choose_preset
from pipeline.run_file import RunFile, find_run
from pipeline.runs import Run, preset
from tfrec.console import log
from tfrec.schema import read_table_set
from tfrec.setting_names import with_named


def named_run(name: str) -> Run:
    """The run of a shop's file or of a name of the project; errors as in `find_run`."""
    return run_of(find_run(name))


def run_of(file: RunFile) -> Run:
    """The run of a file; with the preset `auto` its tables decide, and the choices are logged.

    Raises DataError when they do not exist.
    """
    if file.preset == "auto":
        choice = choose(file)
        log(f"preset {choice.preset}: {choice.reason}")
        file = with_default_labels(dataclasses.replace(file, preset=choice.preset), read_table_set(file.tables))
    config = with_named(preset(file.preset), file.settings)
    return Run(
        file.name,
        file.tables,
        file.out,
        file=file.file,
        metadata_server=file.metadata_server,
        config=config,
        beam=file.beam,
    )


def choose(file: RunFile) -> Choice:
    """The preset that the file's tables suggest, with the reason; DataError without tables."""
    return choose_preset(read_table_set(file.tables))
