"""The last step of a training node: the SavedModel that Pusher may push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.nodes.trainer_inputs import TrainerInputs

if TYPE_CHECKING:
    from tfrec.export.recommender import Recommender
    from tfrec.training.train import Trained


def export_servable(recommender: Recommender, trained: Trained, inputs: TrainerInputs, folder: str) -> None:
    """Write the SavedModel with its golden requests and its record for a warm start."""
    from tfrec.export.golden_requests import write_golden_requests
    from tfrec.export.recommender import export
    from tfrec.training.warm_start import record_of, write_record

    export(recommender, folder)
    write_golden_requests(recommender, trained.catalog, inputs.config, folder)
    is_caught_up = inputs.config.train.catch_up_rate > 0
    write_record(record_of(trained.catalog, inputs.transformed, inputs.config, inputs.validation, is_caught_up), folder)
