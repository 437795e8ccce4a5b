"""Submission of a compiled run to a Kubeflow Pipelines server, by kfp's client."""

from __future__ import annotations

import dataclasses
import warnings
from datetime import datetime
from pathlib import Path

import kfp
from kfp_server_api import ApiException
from urllib3.exceptions import HTTPError

from pipeline.kubeflow.spec import read_compiled
from tfrec.errors import TfrecError


@dataclasses.dataclass(frozen=True)
class KubeflowServer:
    """A Kubeflow Pipelines server and the user's access to it."""

    host: str  # URL of the API, such as http://127.0.0.1:8888
    namespace: str | None = None  # of a server for several users
    token: str | None = None  # bearer token


def submit(path: Path, server: KubeflowServer, experiment: str, every: str | None = None) -> str:
    """Submit a run, or a recurring run with `every`, a cron expression of six fields.

    Returns a line for the terminal. A recurring run executes one run at a time and skips missed
    ones.
    """
    read_compiled(path)  # raises for a file that the server would refuse
    name = f"{path.stem} {datetime.now():%Y-%m-%d %H:%M}"
    try:
        client = _client(server)
        experiment_id = client.create_experiment(experiment, namespace=server.namespace).experiment_id
        if every:
            job = client.create_recurring_run(
                experiment_id=experiment_id,
                job_name=path.stem,
                cron_expression=every,
                pipeline_package_path=str(path),
                max_concurrency=1,
                no_catchup=True,
            )
            return f"recurring run {job.recurring_run_id}: {every}"
        return f"run {client.run_pipeline(experiment_id, name, pipeline_package_path=str(path)).run_id}: {name}"
    except (ApiException, HTTPError) as error:
        reason = getattr(error, "body", None) or error
        raise TfrecError(f"the Kubeflow Pipelines server at {server.host} refused {path}: {reason}") from None


def _client(server: KubeflowServer) -> kfp.Client:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "this client only works with 2.x"
        return kfp.Client(host=server.host, existing_token=server.token, namespace=server.namespace or "kubeflow")
