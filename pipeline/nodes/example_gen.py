"""The ExampleGen of a table set: a Beam element a partition, four splits of tf.Examples.

tfrec.examples.build makes the examples. The component's fingerprint is the content that was
ingested, so ingesting the same data again runs nothing again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from google.protobuf import any_pb2, wrappers_pb2
from tfx.components.example_gen import driver, utils
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from pipeline.nodes.fingerprint import code
from tfrec.config import Config, ExamplesConfig, config_from_json
from tfrec.errors import DataError
from tfrec.examples.build import SPLITS, build_partition
from tfrec.schema import Manifest, TableSet, read_table_set

FINGERPRINTED = ("clock", "partitions", "profile_columns", "item_columns", "item_numbers", "item_vectors")
"""The manifest's fields that change the examples, beside the hash of the tables."""


class TableSetExecutor(BaseExampleGenExecutor):
    """Maps tfrec.examples.build.build_partition over the partitions."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        """Never called: GenerateExamplesByBeam is overridden, as a partition has all splits."""
        raise NotImplementedError

    def GenerateExamplesByBeam(
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.pvalue.PCollection]:
        """Split name -> PCollection of serialized tf.train.Examples."""
        root = Path(
            exec_properties[standard_component_specs.INPUT_BASE_KEY]
        ).absolute()  # workers run in another folder
        config = _examples_config(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        tables = read_table_set(root)  # once: an ingest may replace the snapshot meanwhile
        resolved = exec_properties.get(utils.FINGERPRINT_PROPERTY_NAME) or ""
        if resolved.startswith("{") and resolved != _fingerprint(tables.manifest, config):
            raise DataError(f"{root} was ingested again while the pipeline started; run it again")
        tagged = (
            pipeline
            | "Partitions" >> beam.Create(range(tables.manifest.partitions))
            | "Spread" >> beam.Reshuffle()
            | "Build" >> beam.FlatMap(_tagged_examples, tables, config).with_outputs(*SPLITS)
        )
        return {split: tagged[split] for split in SPLITS}


class TableSetDriver(driver.FileBasedDriver):
    """Fingerprints the ingested content, where TFX's driver takes the files' modification times."""

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """Add the fingerprint to TFX's properties; raises DataError when nothing was ingested."""
        manifest = read_table_set(exec_properties[standard_component_specs.INPUT_BASE_KEY]).manifest
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        config = _examples_config(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        resolved[utils.FINGERPRINT_PROPERTY_NAME] = _fingerprint(manifest, config)
        return resolved


class TableSetExampleGen(FileBasedExampleGen):
    """FileBasedExampleGen with this module's executor and driver.

    TFX's Kubeflow runner replaces the driver of every FileBasedExampleGen: there the fingerprint is
    the size and time of manifest.json, the file that the input configuration names.
    """

    EXECUTOR_SPEC = BeamExecutorSpec(TableSetExecutor)
    DRIVER_CLASS = TableSetDriver


def example_gen(tables_root: str, config: Config) -> TableSetExampleGen:
    """Make the node that turns the table set in `tables_root` into Examples by SPLITS."""
    splits = [example_gen_pb2.Input.Split(name=split, pattern="manifest.json") for split in SPLITS]
    return TableSetExampleGen(
        input_base=tables_root,
        input_config=example_gen_pb2.Input(splits=splits),
        custom_config=_custom_config(config.examples),
    )


def _fingerprint(manifest: Manifest, config: ExamplesConfig) -> str:
    """Hash of the tables that the examples are made from, and FINGERPRINTED."""
    tables = {"snapshot": manifest.content(item_states=config.item_states)}
    return json.dumps(tables | {name: getattr(manifest, name) for name in FINGERPRINTED})


def _custom_config(config: ExamplesConfig) -> example_gen_pb2.CustomConfig:
    """Pack the settings of examples alone: no other setting may run the component again."""
    text = json.dumps({"examples": dataclasses.asdict(config)}, sort_keys=True)
    text += "\n" + code("tfrec.examples.build")  # for TFX's cache alone
    packed = any_pb2.Any()
    packed.Pack(wrappers_pb2.StringValue(value=text))
    return example_gen_pb2.CustomConfig(custom_config=packed)


def _examples_config(custom_config_json: str) -> ExamplesConfig:
    """Unpack TFX's JSON of `_custom_config`."""
    custom_config = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(custom_config_json, custom_config)
    text = wrappers_pb2.StringValue()
    custom_config.custom_config.Unpack(text)
    return config_from_json(text.value.splitlines()[0]).examples


def _tagged_examples(index: int, tables: TableSet, config: ExamplesConfig) -> Iterator[beam.pvalue.TaggedOutput]:
    for split, examples in build_partition(tables, index, config):
        for example in examples:
            yield beam.pvalue.TaggedOutput(split, example)
