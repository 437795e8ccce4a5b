"""Hands a compiled run to a Kubeflow Pipelines server, by kfp's own client."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path

import kfp
from kfp_server_api import ApiException
from urllib3.exceptions import HTTPError

from pipeline.kubeflow.spec import read_compiled
from tfrec.errors import TfrecError


def submit(path: Path, host: str, namespace: str | None, experiment: str, every: str | None, token: str | None) -> str:
    """What was made of it, for a person: a run, or with `every`, a cron expression of six fields, a recurring run.

    Only one run of a recurring run is at work at a time, and those that were missed are not made up for.
    """
    read_compiled(path)  # refuses what the server would refuse
    name = f"{path.stem} {datetime.now():%Y-%m-%d %H:%M}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the client is for 2.x
            client = kfp.Client(host=host, existing_token=token, namespace=namespace or "kubeflow")
        group = client.create_experiment(experiment, namespace=namespace).experiment_id
        if every:
            job = client.create_recurring_run(
                experiment_id=group,
                job_name=path.stem,
                cron_expression=every,
                pipeline_package_path=str(path),
                max_concurrency=1,
                no_catchup=True,
            )
            return f"recurring run {job.recurring_run_id}: {every}"
        return f"run {client.run_pipeline(group, name, pipeline_package_path=str(path)).run_id}: {name}"
    except (ApiException, HTTPError) as error:
        reason = getattr(error, "body", None) or error
        raise TfrecError(f"the Kubeflow Pipelines server at {host} did not take {path}: {reason}") from None
