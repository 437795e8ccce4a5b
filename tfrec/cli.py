"""The command line: tfrec demo, ingest, train, evaluate, compare, report, serve, recommend, search, rank, similar,
complementary, status, doctor.

The edge of the project: the one file below tfrec/ that may call serving and pipeline, and the one that
silences TensorFlow (docs/decisions/0001-the-command-line-is-the-edge.md). Nothing heavy is imported before
a verb needs it, so that help comes at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec import flags
from tfrec.errors import ConfigError, DataError, TfrecError

if TYPE_CHECKING:
    from serving.client import Client, Event
    from serving.queries import Recommendation
    from tfrec.lookup import User
    from tfrec.schema import TableSet

DESCRIPTION = "From a shop's raw logs to a served recommender. `tfrec VERB --help` says more."


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 what was asked for is not so, 2 an error told in one line, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    _quieten()
    try:
        return options.command(options) or 0
    except TfrecError as error:
        print(f"tfrec: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ntfrec: interrupted; to go on: tfrec {shlex.join(words)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `tfrec recommend ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def ingest(options: argparse.Namespace) -> None:
    """read and clean a shop's files into partitioned tables"""
    from tfrec import ingest as library
    from tfrec.mapping import mapping_from_flags, read_mapping
    from tfrec.sources import complete_journey, movielens

    source, out = options.source, options.out or f"data/{Path(options.source or 'shop').stem}"
    if source == "complete-journey":
        report = library.ingest_tables(complete_journey.load(), out, source, options.partitions)
    elif source == "movielens":
        folder = _given(options.path, "--path", "the folder that holds ml-100k, ml-1m or ml-latest's files")
        report = library.ingest_tables(movielens.load(folder), out, source, options.partitions)
    elif source:
        report = library.ingest(read_mapping(Path(source)), out, options.partitions)
    else:
        interactions = _given(options.interactions, "--interactions", "a file, or name a SOURCE")
        mapping = mapping_from_flags(
            interactions, options.items, options.users, options.column, options.kind, options.order
        )
        report = library.ingest(mapping, out, options.partitions)
    print(report)


def train(options: argparse.Namespace) -> int:
    """run the pipeline here, from examples to a pushed model"""
    from pipeline.local_runner import run
    from pipeline.outcome import read_outcome
    from pipeline.runs import named_run
    from pipeline.steps import alone

    chosen = named_run(options.run)
    with alone(Path(chosen.out)):
        run(chosen)
    outcome = read_outcome(chosen)
    print(outcome.sentence(chosen))
    return 1 if outcome.refusal else 0


def evaluate(options: argparse.Namespace) -> None:
    """print the last evaluation of a run beside its baselines"""
    from pipeline.outcome import read_outcome
    from pipeline.runs import named_run
    from tfrec.report import render_table

    print(render_table(read_outcome(named_run(options.run)).evaluation))


def compare(options: argparse.Namespace) -> None:
    """print the models of several runs, or of evaluation.json files, side by side"""
    from pipeline.outcome import read_evaluation
    from tfrec.report import render_comparison

    print(render_comparison({name: read_evaluation(name) for name in options.evaluations}))


def report(options: argparse.Namespace) -> None:
    """write the page of an evaluation, for a person to read in a browser"""
    from pipeline.outcome import node_seconds, read_evaluation
    from pipeline.runs import named_run
    from tfrec.page import render_page, write_page

    name, evaluation = options.evaluation, read_evaluation(options.evaluation)
    seconds = {} if Path(name).is_file() else node_seconds(named_run(name))
    title = Path(name).name if Path(name).is_file() else f"Run {name}"
    print(f"report: {write_page(render_page(evaluation, title, seconds), options.out)}")


def serve(options: argparse.Namespace) -> None:
    """answer TensorFlow Serving's protocol with the pushed model"""
    if not options.model_config_file and not Path(options.model_base_path).is_dir():
        raise ConfigError(
            f"--model is {options.model_base_path!r} but there is no such folder; `tfrec train` pushes a model, "
            "`tfrec status` lists those that are there"
        )
    from serving.server import run

    run(options)


def recommend(options: argparse.Namespace) -> None:
    """ask a server what to recommend to a user of the tables"""
    from tfrec.answers import check_shop, render_answer, render_beside

    tables, user = _tables_and_user(options)
    if options.until is not None and tables.manifest.clock != "utc":
        raise ConfigError(f"--until is a date but the events of {tables.root} have an order alone; leave it out")
    now = _latest_moment(tables) if options.until is None else options.until
    known = user if options.until is None else user.until(now)
    with _client(options) as client:
        answer = client.recommend(_events(known), k=options.k, **_about(user, now), **_wishes(options))
    _check_categories(options, answer)
    if options.until is None:
        print(render_answer(answer))
    else:
        print(render_beside(answer, user.since(now), tables))
    check_shop(answer, tables)


def search(options: argparse.Namespace) -> None:
    """ask a server for items that fit a text, for a user if named"""
    from tfrec.answers import render_answer

    if not options.query.strip():
        raise ConfigError(f"the query is {options.query!r} but must hold a word; `recommend` answers without one")
    with _client(options) as client:
        if options.user is None:
            answer = client.search(options.query, k=options.k, **_wishes(options))
        else:
            tables, user = _tables_and_user(options)
            about = _about(user, _latest_moment(tables)) | _wishes(options)
            answer = client.search(options.query, _events(user), k=options.k, **about)
    _check_categories(options, answer)
    print(render_answer(answer))


def rank(options: argparse.Namespace) -> None:
    """ask a server in which order a user of the tables would want some items"""
    from tfrec.answers import render_answer

    tables, user = _tables_and_user(options)
    with _client(options) as client:
        answer = client.rank(_events(user), options.item_id, **_about(user, _latest_moment(tables)))
    unknown = sorted(set(options.item_id) - {item.item_id for item in answer})
    if unknown:
        raise DataError(
            f"the served catalogue does not hold {', '.join(map(repr, unknown))}; leave it out, "
            "or take ids that `search` shows"
        )
    print(render_answer(answer))


def similar(options: argparse.Namespace) -> None:
    """ask a server for the items nearest to one"""
    with _client(options) as client:
        _print_neighbours(options, *client.similar_items([options.item_id], k=options.k))


def complementary(options: argparse.Namespace) -> None:
    """ask a server for what is bought with an item, not instead of it"""
    with _client(options) as client:
        _print_neighbours(options, *client.complementary_items([options.item_id], k=options.k))


def _print_neighbours(options: argparse.Namespace, answer: Sequence[Recommendation]) -> None:
    from tfrec.answers import render_answer

    if not answer:
        raise DataError(f"item {options.item_id!r} is not in the served catalogue; take an id that `search` shows")
    print(render_answer(answer))


def status(options: argparse.Namespace) -> int:
    """say what was ingested, what was pushed and what a server serves"""
    for manifest in sorted(Path("data").glob("*/manifest.json")):
        print(f"tables   {manifest.parent}: {_rows_of(manifest.parent)}")
    for version in sorted(Path("out/serving").glob("*/*/saved_model.pb")):
        print(f"pushed   {version.parent}")
    try:
        with _client(options) as client:
            for served in client.status():
                reason = f": {served.error}" if served.error else ""
                print(f"server   {options.server}: version {served.version} {served.state}{reason}")
    except TfrecError as error:
        print(f"server   {error}")
        return 1
    return 0


def demo(options: argparse.Namespace) -> None:
    """show the whole system on real data, from ingest to search"""
    from pipeline.demo import demonstrate
    from pipeline.runs import named_run

    demonstrate(named_run(options.run))


def doctor(options: argparse.Namespace) -> int:
    """say what this machine can run, and how to cure what it can't"""
    from tfrec import doctor as library

    findings = library.diagnose(deep=options.deep)
    print(library.render_json(findings) if options.json else library.render(findings))
    return 0 if library.is_fit(findings) else 1


def _serve_flags(parser: argparse.ArgumentParser) -> None:
    from serving import flags as of_server

    of_server.add(parser, flags.MODEL_NAME, "out/serving/laptop")


_Flags = Callable[[argparse.ArgumentParser], None]
VERBS: tuple[tuple[Callable[[argparse.Namespace], int | None], _Flags], ...] = (
    (demo, flags.run),
    (ingest, flags.ingest),
    (train, flags.run),
    (evaluate, flags.run),
    (compare, flags.compare),
    (report, flags.report),
    (serve, _serve_flags),
    (recommend, flags.recommend),
    (search, flags.search),
    (rank, flags.rank),
    (similar, flags.similar),
    (complementary, flags.similar),
    (status, flags.server),
    (doctor, flags.doctor),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tfrec", description=DESCRIPTION)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for command, add_flags in VERBS:
        verb = verbs.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        verb.set_defaults(command=command)
        add_flags(verb)
    return parser


def _quieten() -> None:
    """Leaves on the screen what a person wants: our own progress, not the start-up talk of C++ libraries."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    logging.basicConfig(level=logging.WARNING, format="tfrec: %(message)s")
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFX warns of itself at every node
    logging.getLogger("tfrec").setLevel(logging.INFO)
    logging.getLogger("serving").setLevel(logging.INFO)


def _client(options: argparse.Namespace) -> Client:
    from serving.client import Client

    return Client(options.server, options.name)


def _about(user: User, now: int) -> dict[str, Any]:
    """The client's arguments of who asks, and when."""
    return {"profile": user.profile, "now": now, "user_id": user.user_id}


def _wishes(options: argparse.Namespace) -> dict[str, Any]:
    """The client's arguments of what may be shown, and how varied."""
    return {
        "exclude": options.exclude,
        "categories": options.category,
        "not_categories": options.not_category,
        "diversity": options.diversity,
    }


def _check_categories(options: argparse.Namespace, answer: Sequence[Recommendation]) -> None:
    """DataError where the wanted categories leave nothing: most likely a name that the catalogue does not know."""
    if options.category and not answer:
        raise DataError(
            f"--category {' '.join(map(repr, options.category))} leaves no item that may be shown; "
            'name the path as the catalogue writes it, from the widest level down, such as "Food > Pasta"'
        )


def _tables_and_user(options: argparse.Namespace) -> tuple[TableSet, User]:
    from tfrec.lookup import read_user
    from tfrec.schema import read_table_set

    tables = read_table_set(options.tables)
    return tables, read_user(tables, options.user)


def _latest_moment(tables: TableSet) -> int:
    """When the shop's log ends; 0, just after the user's own last event, where events have an order alone."""
    return tables.manifest.last_timestamp + 1 if tables.manifest.clock == "utc" else 0


def _events(user: User) -> list[Event]:
    """The history as the client wants it; a search without an item is none of it."""
    from serving.client import Event

    rows = user.history.dropna(subset="item_id")
    seconds = rows["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    price = rows["price"].astype("float64")
    return [Event(*row) for row in zip(rows["item_id"], rows["kind"], seconds, price, strict=True)]


def _rows_of(root: Path) -> str:
    from tfrec.schema import read_table_set

    return ", ".join(f"{count:,} {table}" for table, count in read_table_set(root).manifest.rows.items())


def _given(value: str | None, flag: str, expected: str) -> str:
    if value is None:
        raise ConfigError(f"{flag} is missing; give {expected}")
    return value


if __name__ == "__main__":
    sys.exit(main())
