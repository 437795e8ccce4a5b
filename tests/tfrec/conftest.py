"""Fixtures of the model's tests: tiny configuration, hand-written catalogs, transformed shop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

import tfrec  # noqa: F401  before TensorFlow
from tests.built_once import built_once
from tfrec.config import Config, ExamplesConfig, FeaturesConfig, ServingConfig, TowerConfig, TrainConfig
from tfrec.examples.catalog import Catalog, distinct_rows
from tfrec.examples.item_states import state_features
from tfrec.language.text_encoder import vocabulary as vocabulary_of
from tfrec.schema import TableSet

if TYPE_CHECKING:
    from tfrec.training.train import TrainingJob

ANALYZED = ("train", "catalog")  # as in pipeline/dag.py

ODD_ID = 'a "b", 茶\n > c'
"""An item id with characters that may break a file of lines or a comma-separated list."""


class MakeConfig(Protocol):
    """Make a configuration of 8 dimensions with a tiny random BERT; other settings by part."""

    def __call__(
        self,
        features: Mapping[str, Any] = ...,
        towers: Mapping[str, Any] = ...,
        train: Mapping[str, Any] = ...,
        max_events: int = ...,
        clock: str = ...,
    ) -> Config: ...


class MakeCatalog(Protocol):
    """Make a catalog of items "i1", "i2" ... with a text each (WordPiece ids) and other columns."""

    def __call__(self, texts: Sequence[Sequence[int]], **columns: Any) -> Catalog: ...


@dataclasses.dataclass(frozen=True)
class TransformedSplits:
    """Outputs of Transform."""

    config: Config
    folder: str  # of the graph
    files: dict[str, list[str]]  # split -> gzipped TFRecords

    def job(self, folder: Path, config: Config) -> TrainingJob:
        """A training on these splits that keeps its state in `folder`."""
        from tfrec.examples.preprocessing import Transformed
        from tfrec.training.train import TrainingJob

        return TrainingJob(
            train_files=self.files["train"],
            validation_files=self.files["validation"],
            catalog_files=self.files["catalog"],
            transformed=Transformed(self.folder),
            config=config,
            checkpoint_dir=str(folder / "checkpoints"),
            log_dir=str(folder / "logs"),
        )


@pytest.fixture(scope="session")
def vocabulary() -> str:
    """WordPiece vocabulary of the default BERT: 30,522 pieces, [CLS] 101, [SEP] 102."""
    return vocabulary_of("", "unused")[0]


@pytest.fixture(scope="session")
def make_config(vocabulary: str) -> MakeConfig:
    def make(
        features: Mapping[str, Any] = {},
        towers: Mapping[str, Any] = {},
        train: Mapping[str, Any] = {},
        max_events: int = 8,
        clock: str = "utc",
    ) -> Config:
        return Config(
            clock=clock,
            examples=ExamplesConfig(max_events=max_events, stride=max_events),
            features=FeaturesConfig(**{"vocabulary": vocabulary, **features}),
            towers=TowerConfig(**{"dim": 8, "random_bert": True, "dropout": 0.0, "id_dropout": 0.0, **towers}),
            train=TrainConfig(**{"uniform_negatives": 8, "batch_size": 4, **train}),
            serving=ServingConfig(top_k=8, page_size=3),
        )

    return make


@pytest.fixture(scope="session")
def make_catalog() -> MakeCatalog:
    def make(texts: Sequence[Sequence[int]], **columns: Any) -> Catalog:
        items = len(texts)
        tokens = np.zeros((items, max(map(len, texts), default=1)), np.int64)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = text
        distinct, text_row = distinct_rows(tokens)
        none = np.zeros(items + 1, np.int64)
        ids = [b"", *(b"i%d" % number for number in range(1, items + 1))]
        by_default = {
            "item_ids": np.array(ids, object),
            "titles": np.array(ids, object),
            "text_row": np.append(0, text_row),
            "tokens": distinct,
            "category": np.zeros((items + 1, 2), np.int64),
            "category_path": np.full(items + 1, b"", object),
            "brand": none,
            "price": none,
            "frequency": np.append(0, np.ones(items, np.int64)),
            "queries": np.array([], object),
            "query_row": np.array([], np.int64),
            "category_size": 2,
            "brand_size": 2,
            "price_size": 3,
            "profile_sizes": {},
        }
        return Catalog(**(by_default | columns))

    return make


@pytest.fixture(scope="session")
def odd_id() -> str:
    return ODD_ID


@pytest.fixture(scope="session")
def transformed_shop(
    shop: TableSet, make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory
) -> TransformedSplits:
    """The shop of tests/conftest.py after ExampleGen and Transform, in the default splits.

    The training split also holds zoe, who viewed soap in an earlier chunk and bought an item with
    the id ODD_ID twice, which is not in the catalog.
    """
    from tfrec.examples.build import SPLITS, build_partition

    config = make_config(features={"profile_columns": ("age", "city"), "item_columns": ("maker",)})

    def build(folder: Path) -> None:
        splits: dict[str, list[bytes]] = {split: [] for split in SPLITS}
        for index in range(shop.manifest.partitions):
            for split, examples in build_partition(shop, index, config.examples):
                splits[split] += examples
        splits["train"].append(_zoe())
        _transform(folder, splits, config)

    return _transformed_in(built_once(tmp_path_factory, "transformed_shop", build), SPLITS, config)


@dataclasses.dataclass(frozen=True)
class ExportedShop:
    """A model of `transformed_shop` in memory, and its SavedModel."""

    config: Config
    model: Any  # tfrec.retrieval.two_tower.TwoTower
    catalog: Catalog
    recommender: Any  # tfrec.export.recommender.Recommender
    folder: Path  # with golden requests; copy it before you change it


@pytest.fixture(scope="session")
def exported_shop(transformed_shop: TransformedSplits, tmp_path_factory: pytest.TempPathFactory) -> ExportedShop:
    """The model before training: with random weights, equal outputs mean equal computations."""
    import tensorflow as tf

    from tfrec.examples.dataset import load_catalog
    from tfrec.examples.preprocessing import Transformed
    from tfrec.export.golden_requests import write_golden_requests
    from tfrec.export.recommender import Recommender, export
    from tfrec.retrieval.two_tower import TwoTower
    from tfrec.training.train import Trained

    config, graph = transformed_shop.config, Transformed(transformed_shop.folder)
    files = transformed_shop.files
    catalog = load_catalog(files["catalog"], files["train"], graph, config.features)
    tf.keras.utils.set_random_seed(7)
    model = TwoTower(catalog, config)
    model.texts.encode_texts()
    model.texts.fit_words()
    model.trend.assign(tf.random.normal([model.rows]))
    recommender = Recommender(Trained(model, catalog, 0.0), graph, config)
    folder = tmp_path_factory.mktemp("exported") / "model"
    export(recommender, str(folder))
    write_golden_requests(recommender, catalog, config, str(folder))
    return ExportedShop(config, model, catalog, recommender, folder)


def _zoe() -> bytes:
    import tensorflow as tf

    texts = {
        "user_id": ["zoe"],
        "user_age": [""],
        "user_city": [""],
        "event_item_id": ["soap", ODD_ID, ODD_ID],
        "event_kind": ["view", "purchase", "purchase"],
        "event_query": ["", "", ""],
    }
    numbers = {"event_timestamp": [1704067200, 1704067201, 1704067202], "event_is_target": [0, 1, 1]}
    example = tf.train.Example()
    for name, values in texts.items():
        example.features.feature[name].bytes_list.value.extend(value.encode() for value in values)
    for name, integers in numbers.items():
        example.features.feature[name].int64_list.value.extend(integers)
    example.features.feature["event_price"].float_list.value.extend([0.0, 0.0, 0.0])
    return example.SerializeToString()


@pytest.fixture(scope="session")
def transform() -> Callable[[Path, Mapping[str, Iterable[bytes]], Config], TransformedSplits]:
    """Function that transforms splits of serialized examples into a folder."""
    return _transform


def _transformed_in(root: Path, splits: Iterable[str], config: Config) -> TransformedSplits:
    return TransformedSplits(config, str(root / "graph"), {split: [str(root / f"{split}.gz")] for split in splits})


def _transform(root: Path, splits: Mapping[str, Iterable[bytes]], config: Config) -> TransformedSplits:
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

    from tfrec.examples.preprocessing import preprocessing_fn

    transformed = _transformed_in(root, splits, config)
    reader = TFExampleBeamRecord("memory", schema=_schema(config))
    adapter = reader.TensorAdapterConfig()
    # FnApiRunner runs in this process; by default Beam would download a runner.
    options = PipelineOptions(["--runner=FnApiRunner", "--sdk_container_image=unused"])
    with beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=str(root / "temp")):
        raw = {
            split: pipeline | f"Create {split}" >> beam.Create(list(examples)) | f"Read {split}" >> reader.BeamSource()
            for split, examples in splits.items()
        }
        analyzed = [raw[split] for split in ANALYZED if split in raw] | beam.Flatten()
        analysis = tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, {"config": config.to_json()}))
        function = (analyzed, adapter) | analysis
        _ = function | tft_beam.WriteTransformFn(transformed.folder)
        for split, batches in raw.items():
            rows = ((batches, adapter), function) | f"Transform {split}" >> tft_beam.TransformDataset(
                output_record_batches=True
            )
            _ = (
                rows
                | f"Encode {split}" >> tft_beam.EncodeTransformedDataset()
                | f"Write {split}" >> beam.io.WriteToTFRecord(transformed.files[split][0], shard_name_template="")
            )
    return transformed


def _schema(config: Config) -> Any:
    """Schema of the raw features of tfrec/examples/build.py, each a list."""
    import tensorflow as tf
    from tensorflow_transform.tf_metadata import schema_utils

    integers, floats = ("event_timestamp", "event_is_target"), ("event_price", "item_price")
    texts = "user_id event_item_id event_kind event_query item_id item_title item_description item_category item_brand"
    types = dict.fromkeys(
        [
            *texts.split(),
            *(f"user_{column}" for column in config.request_columns),
            *(f"item_{column}" for column in config.features.item_columns),
            *(f"event_{column}" for column in config.examples.context_columns),
        ],
        tf.string,
    )
    types |= {name: tf.int64 if name == "state_from" else tf.float32 for name in state_features(config.examples)}
    numbers = (*config.features.item_numbers, *config.features.item_vectors)
    types |= {f"item_{name}": tf.float32 for name in numbers}
    types |= dict.fromkeys(integers, tf.int64) | dict.fromkeys(floats, tf.float32)
    return schema_utils.schema_from_feature_spec({name: tf.io.VarLenFeature(dtype) for name, dtype in types.items()})


@dataclasses.dataclass(frozen=True)
class TwoStageShop:
    """Towers of `exported_shop` with a second stage fitted on the shop's validation window."""

    config: Config
    trained: Any  # tfrec.training.train.Trained
    stage: Any  # tfrec.ranking.second_stage.SecondStage
    checkpoints: str  # folder of the ranker's fit


@pytest.fixture(scope="session")
def two_stage_shop(
    exported_shop: ExportedShop, transformed_shop: TransformedSplits, tmp_path_factory: pytest.TempPathFactory
) -> TwoStageShop:
    from tfrec.config import RankingConfig
    from tfrec.ranking.fit_second_stage import fit_second_stage
    from tfrec.training.train import Trained

    ranking = RankingConfig(
        epochs=1, n_towers=2, n_copurchase=2, n_repeat=3, n_popular=2, n_cold=2, copurchase_rank=2, hidden=(8,)
    )
    config = dataclasses.replace(exported_shop.config, ranking=ranking)
    files, folder = transformed_shop.files, str(tmp_path_factory.mktemp("ranker"))
    trained = Trained(exported_shop.model, exported_shop.catalog, 0.0)
    stage = fit_second_stage(trained, files["train"], files["validation"], config, folder)
    return TwoStageShop(config, trained, stage, folder)


@pytest.fixture(scope="session")
def exported_two_stages(
    two_stage_shop: TwoStageShop, transformed_shop: TransformedSplits, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Folder of the SavedModel of both stages, with golden requests."""
    from tfrec.examples.preprocessing import Transformed
    from tfrec.export.golden_requests import write_golden_requests
    from tfrec.export.recommender import export
    from tfrec.export.two_stage_recommender import TwoStageRecommender

    folder = str(tmp_path_factory.mktemp("exported_two_stages") / "model")
    shop = two_stage_shop
    recommender = TwoStageRecommender(shop.trained, Transformed(transformed_shop.folder), shop.config, shop.stage)
    export(recommender, folder)
    write_golden_requests(recommender, shop.trained.catalog, shop.config, folder)
    return folder


@pytest.fixture(scope="session")
def raw_examples(shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw examples of the shop's test window and catalog."""
    import tensorflow as tf

    from tfrec.examples.build import build_partition

    folder = tmp_path_factory.mktemp("raw")
    for name in ("test", "catalog"):
        (folder / f"Split-{name}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{name}" / "data")) as writer:
            for index in range(shop.manifest.partitions):
                for split, examples in build_partition(shop, index, ExamplesConfig(max_events=8, stride=8)):
                    for example in examples if split == name else ():
                        writer.write(example)
    return folder
