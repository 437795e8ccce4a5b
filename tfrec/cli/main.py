"""The command line `tfrec VERB`: the list of its verbs, and how one of them runs.

This is the only place that silences TensorFlow's start-up log
(docs/decisions/0001-command-line.md). Heavy modules are imported only by the verb that needs them,
so `tfrec --help` takes less than half a second.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence

from tfrec.cli import baselines, flags, init, kubeflow, recommend, recommend_flags, release, tune, workflow
from tfrec.cli.doctor import doctor
from tfrec.errors import ConfigError, TfrecError

DESCRIPTION = "From a shop's raw logs to a served recommender. `tfrec VERB --help` says more."

EPILOG = "A shop's YAML file may stand in place of --run, right after the verb: tfrec {verb} shop.yaml ..."

_Command = Callable[[argparse.Namespace], int | None]
_AddFlags = Callable[[argparse.ArgumentParser], None]
VERBS: tuple[tuple[_Command, _AddFlags], ...] = (
    # from a shop's files to a served model
    (workflow.demo, flags.run),
    (init.init, init.init_flags),
    (workflow.ingest, flags.ingest),
    (workflow.config, flags.config),
    (workflow.train, flags.run),
    (workflow.join, flags.run),
    (tune.tune, tune.tune_flags),
    (workflow.evaluate, flags.evaluate),
    (baselines.baselines, baselines.baselines_flags),
    (workflow.compare, flags.compare),
    (workflow.report, flags.report),
    (workflow.serve, flags.serve),
    # requests to a model server
    (recommend.recommend, recommend_flags.recommend),
    (recommend.search, recommend_flags.search),
    (recommend.rank, recommend_flags.rank),
    (recommend.ctr, recommend_flags.ctr),
    (recommend.similar, recommend_flags.similar),
    (recommend.complementary, recommend_flags.similar),
    (recommend.embed, recommend_flags.embed),
    (recommend.status, recommend_flags.status),
    # which version serves which users
    (release.promote, recommend_flags.promote),
    (release.canary, recommend_flags.canary),
    (release.rollback, recommend_flags.rollback),
    # machines
    (doctor.doctor, flags.doctor),
    (kubeflow.kubeflow, kubeflow.kubeflow_flags),
)
"""Each verb and its flags; the function's name is the verb, its docstring the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code.

    0: done; 1: the check or model failed; 2: an error, printed in one line; 130: interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(_with_run_flag(words))
    _configure_logging()
    _configure_stdout()
    try:
        _check_utf8(words)
        return options.command(options) or 0
    except TfrecError as error:
        print(f"tfrec: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ntfrec: interrupted; to resume: tfrec {shlex.join(words)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of `tfrec recommend ... | head` is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _with_run_flag(words: list[str]) -> list[str]:
    """Write `search shop.yaml tea` as `search --run shop.yaml tea`.

    argparse can't tell an optional positional argument from those that follow it.
    """
    if (
        len(words) > 1
        and words[0] in recommend_flags.RUN_BEFORE_OTHERS
        and words[1].lower().endswith((".yaml", ".yml"))
    ):
        return [words[0], "--run", *words[1:]]
    return words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tfrec", description=DESCRIPTION)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for command, add_flags in VERBS:
        name = command.__name__
        epilog = EPILOG.format(verb=name) if name in recommend_flags.RUN_BEFORE_OTHERS else None
        verb = verbs.add_parser(name, help=command.__doc__, description=command.__doc__, epilog=epilog)
        verb.set_defaults(command=command)
        add_flags(verb)
    return parser


def _check_utf8(words: Sequence[str]) -> None:
    """Raise ConfigError for a word of bytes that are not UTF-8: Python makes surrogates of them."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"an argument is {os.fsencode(word)!r} but must be UTF-8; set the terminal to UTF-8, "
                "or convert the text or rename the file"
            ) from None


def _configure_stdout() -> None:
    """Print characters that the terminal's encoding lacks by their number: \\u8336."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _configure_logging() -> None:
    """Show the project's own log, without the start-up messages of C++ libraries."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    logging.basicConfig(level=logging.WARNING, format="tfrec: %(message)s")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it also has a handler of its own
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_for_a_person)
    logging.getLogger("tfrec").setLevel(logging.INFO)
    logging.getLogger("serving").setLevel(logging.INFO)


def _is_for_a_person(record: logging.LogRecord) -> bool:
    """False for warnings of TFX and TensorFlow, which come at every node; absl resets its level."""
    return record.levelno >= logging.ERROR or record.name.split(".")[0] not in ("absl", "tensorflow")
