"""Processes that train a model together: their strategy, and values they agree on between steps.

Usually there is one. For several, each on its own machine, TensorFlow's MultiWorkerMirroredStrategy
takes the list from TF_CONFIG, as Kubeflow's training operator writes it. The first, the chief,
evaluates and saves.
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
    number: int = 0  # 0 is the chief
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """True for the process that evaluates and saves."""
        return self.number == 0

    @property
    def shares_steps(self) -> bool:
        """True if a step is divided among replicas, here or elsewhere; also for a group of one."""
        return isinstance(self.strategy, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy)

    def agreed(self, value: float) -> float:
        """The chief's value, a float32; waits until all workers have made this call."""
        if self.count == 1:
            return value
        return float(self.strategy.experimental_local_results(self._gathered(tf.constant([value])))[0][0])

    @functools.cached_property
    def _gathered(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Function that gathers the value [1] of each replica."""
        return tf.function(
            lambda own: self.strategy.run(lambda: replicas.all_gather(tf.identity(own))), autograph=False
        )


def join_workers(count: int) -> Worker:
    """Wait for the `count` processes that TF_CONFIG lists and return this one.

    Call it before any other use of TensorFlow. Raises ConfigError if TF_CONFIG has other jobs or
    another number of processes.
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
