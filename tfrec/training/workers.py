"""The processes that train a model together: which of them this one is, and what they agree on between steps.

One alone is the usual case. Of several, each on its own machine, TensorFlow's MultiWorkerMirroredStrategy takes the
list from TF_CONFIG, as Kubeflow's training operator writes it. The first of them, the chief, judges and saves.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from tfrec.errors import ConfigError
from tfrec.retrieval import replicas

JOBS = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Worker:
    """One of `count` processes, with a replica of the model on each of its devices."""

    strategy: tf.distribute.Strategy
    number: int = 0  # the chief's is 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process judges and saves."""
        return self.number == 0

    @property
    def shares_steps(self) -> bool:
        """Whether a step is divided among replicas, here or elsewhere; a group of one counts as such."""
        return isinstance(self.strategy, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy)

    def agreed(self, value: float) -> float:
        """The chief's value, a float32, once all workers have come here."""
        if self.count == 1:
            return value
        return float(self.strategy.experimental_local_results(self._gathered(tf.constant([value])))[0][0])

    @functools.cached_property
    def _gathered(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Every replica's value [1], one after another."""
        return tf.function(lambda own: self.strategy.run(lambda: replicas.gathered(tf.identity(own))), autograph=False)


def join_workers(count: int) -> Worker:
    """This process among the `count` that TF_CONFIG names, once all of them are there.

    It has to come before anything else is asked of TensorFlow. Raises ConfigError for a TF_CONFIG of other jobs, or of
    another number.
    """
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    cluster = resolver.cluster_spec().as_dict()
    if not cluster or set(cluster) - set(JOBS) or resolver.task_type not in cluster:
        raise ConfigError(
            f"TF_CONFIG names the jobs {sorted(cluster)} and this process as {resolver.task_type!r}; give it "
            "workers, and a chief if you like, as a TFJob does"
        )
    named = sum(map(len, cluster.values()))
    if named != count:
        raise ConfigError(f"train.workers is {count} but TF_CONFIG names {named}; give both the same number")
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    number = int(resolver.task_id) + (len(cluster.get("chief", ())) if resolver.task_type == "worker" else 0)
    return Worker(strategy, number, count)
