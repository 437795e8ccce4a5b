"""The verbs of `tfrec kubeflow`: compile, submit and run-local for a person.

Plan, node and outcome for a pod.

Pipeline is imported inside functions only (docs/decisions/0001-command-line.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfrec.cli.flags import OneRun
from tfrec.errors import ConfigError


def kubeflow(options: argparse.Namespace) -> int | None:
    """run the pipeline on Kubeflow, a pod a node"""
    verb: Callable[[argparse.Namespace], int | None] = options.verb
    try:
        return verb(options)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] != "kfp":
            raise
        raise ConfigError(
            "Kubeflow's library kfp is not installed; install the extra: pip install '.[kubeflow]'"
        ) from None


def kubeflow_flags(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, command, flags in VERBS:
        verb = verbs.add_parser(name, help=command.__doc__, description=command.__doc__)
        verb.set_defaults(verb=command)
        for flag, settings in flags:
            verb.add_argument(flag, **settings)


def compile_run(options: argparse.Namespace) -> None:
    """write a run as the YAML that Kubeflow Pipelines takes"""
    from pipeline.configuration import named_run
    from pipeline.kubeflow.cluster import read_cluster

    run, cluster = named_run(options.run), read_cluster(Path(options.cluster))
    out = options.out or f"{run.name}.pipeline.yaml"
    from pipeline.kubeflow.runner import compile_run as write  # importing TFX takes seconds

    write(run, cluster, out)
    print(f"compiled: {out}")


def submit(options: argparse.Namespace) -> None:
    """submit a compiled run to a Kubeflow Pipelines server, to run once or on a schedule"""
    from pipeline.kubeflow.client import KubeflowServer
    from pipeline.kubeflow.client import submit as submit_file

    token = Path(options.token_file).read_text(encoding="utf-8").strip() if options.token_file else None
    server = KubeflowServer(options.host, options.namespace, token)
    print(submit_file(Path(options.file), server, options.experiment, options.every))


def run_local(options: argparse.Namespace) -> None:
    """run a compiled run here, each pod as a process"""
    from pipeline.kubeflow.local import run_local as run

    run(Path(options.file), options.until)


def plan(options: argparse.Namespace) -> None:
    """for a pod: plan the run over the current tables"""
    from pipeline.kubeflow.pod import write_plan
    from pipeline.runs import run_from_json

    path = write_plan(run_from_json(options.run_json), options.run_id)
    Path(options.told).write_text(str(path), encoding="utf-8")
    print(f"planned: {path}")


def node(options: argparse.Namespace) -> None:
    """for a pod: launch one TFX node of a plan"""
    from pipeline.kubeflow.pod import launch

    print(f"node {options.node}: {launch(Path(options.plan), options.node)}")


def outcome(options: argparse.Namespace) -> int:
    """for a pod: print the outcome of the run; exit code 1 if its model was refused"""
    from pipeline.outcome import put_in_service, read_outcome
    from pipeline.runs import run_from_json

    run = run_from_json(options.run_json)
    put_in_service(run)
    result = read_outcome(run)
    print(result.sentence(run))
    return 1 if result.refusal else 0


_Flags = tuple[tuple[str, dict[str, Any]], ...]
_FILE = ("file", {"help": "what `tfrec kubeflow compile` wrote"})
_RUN = ("--run-json", {"required": True, "help": "the run"})
VERBS: tuple[tuple[str, Callable[[argparse.Namespace], int | None], _Flags], ...] = (
    (
        "compile",
        compile_run,
        (
            (
                "run",
                {
                    **{"nargs": "?", "action": OneRun, "default": argparse.SUPPRESS, "metavar": "RUN"},
                    "help": "the same as --run",
                },
            ),
            (
                "--run",
                {
                    **{"action": OneRun, "default": "laptop", "metavar": "RUN"},
                    "help": "a shop's YAML file or a run of the project (%(default)s)",
                },
            ),
            (
                "--cluster",
                {"default": "cluster.yaml", "help": "images, volume and resources of each node (%(default)s)"},
            ),
            ("--out", {"help": "the file to write (RUN.pipeline.yaml)"}),
        ),
    ),
    (
        "submit",
        submit,
        (
            _FILE,
            ("--host", {"required": True, "help": "of Kubeflow Pipelines' API, such as http://127.0.0.1:8888"}),
            ("--namespace", {"help": "needed if the server has several users"}),
            ("--experiment", {"default": "tfrec", "help": "name that groups the runs (%(default)s)"}),
            ("--every", {"metavar": "CRON", "help": "six fields, seconds first: '0 0 3 * * *' is daily at 3"}),
            ("--token-file", {"help": "file of a bearer token"}),
        ),
    ),
    (
        "run-local",
        run_local,
        (_FILE, ("--until", {"default": "", "metavar": "NODE", "help": "stop after this one"})),
    ),
    (
        "plan",
        plan,
        (_RUN, ("--run-id", {"required": True}), ("--told", {"required": True, "help": "file for the plan's path"})),
    ),
    (
        "node",
        node,
        (("--plan", {"required": True, "help": "what `plan` wrote"}), ("--node", {"required": True})),
    ),
    ("outcome", outcome, (_RUN,)),
)
