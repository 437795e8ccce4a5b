"""A shop's YAML file as a run: its keys, their values, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.configuration import named_run
from pipeline.engines import Local, LocalParallel
from pipeline.run_file import RunFile, find_run, read_run_file, run_names
from pipeline.runs import COMPLETE_JOURNEY, preset
from tfrec.config import Config
from tfrec.errors import ConfigError, DataError
from tfrec.schema import TableSet

TABLES = "interactions: {path: log.csv, kind: purchase}\n"


def read(folder: Path, text: str, name: str = "shop.yaml") -> RunFile:
    (folder / name).write_text(text, encoding="utf-8")
    return find_run(str(folder / name))


def test_a_mapping_alone_is_a_run_with_default_folders(tmp_path: Path) -> None:
    file = read(tmp_path, TABLES)
    assert (file.name, file.tables, file.out, file.preset, file.partitions) == ("shop", "data/shop", "out", "auto", 16)
    assert file.mapping is not None
    assert file.mapping.interactions[0].paths == (tmp_path / "log.csv",)
    assert file.argument == str(tmp_path / "shop.yaml")


def test_the_keys_of_the_run_are_read_with_their_types(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        TABLES + "preset: none\ntables: t\nout: /o\npartitions: 4\nsplit: leave_last_out\n"
        "label_kinds: [purchase, cart]\nfloor: []\n"
        "protected: cold\nsettings: {train.learning_rate: 1e-3, train.logq: false, ranking.hidden: [8, 4], "
        "examples.split.test_days: 7, tune.max_trials: 2, tune.space: {train.epochs: [1, 2], towers.dropout: 0.1}}\n"
        "beam: {default: {engine: local-parallel, workers: 2}, Transform: {engine: local}}\n",
    )
    assert (file.tables, file.out, file.partitions) == ("t", "/o", 4)
    assert file.beam == {"default": LocalParallel(2), "Transform": Local()}
    config = named_run(str(tmp_path / "shop.yaml")).config
    assert config.train.learning_rate == 0.001
    assert config.train.logq is False
    assert config.train.epochs == Config().train.epochs
    assert config.ranking.hidden == (8, 4)
    assert config.examples.split.test_days == 7
    assert config.examples.split.method == "leave_last_out"
    assert config.tune.space == (("train.epochs", (1, 2)), ("towers.dropout", (0.1,)))
    assert config.evaluation.label_kinds == ("purchase", "cart")
    assert config.verdict.floor == ()
    assert config.verdict.protected == ("cold",)


def test_settings_are_checked_on_the_preset_not_on_the_defaults(tmp_path: Path) -> None:
    # The default max_events is 50; full's is 256.
    assert read(tmp_path, TABLES + "preset: full\nsettings: {examples.stride: 200}\n").preset == "full"


def test_settings_stand_above_those_of_the_preset(tmp_path: Path) -> None:
    read(tmp_path, TABLES + "preset: retail\nsettings: {train.epochs: 3}\n")
    config = named_run(str(tmp_path / "shop.yaml")).config
    assert (config.train.epochs, config.train.catch_up_rate) == (3, 0.001)  # retail has 8 epochs, and the pass
    assert preset("retail").train.epochs == 8


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: purchse", r"kind is 'purchse' \(did you mean 'purchase'\?\)"),
        ("kind: view, columns: {usr_id: a}", r"columns names 'usr_id' \(did you mean 'user_id'\?\)"),
    ],
)
def test_the_nearest_kind_and_column_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read(tmp_path, f"interactions: {{path: log.csv, {text}}}")


@pytest.mark.parametrize(
    ("file_name", "name"),
    [("shop.YAML", "shop"), ("shop.yml", "shop"), ("My Shop_2.yaml", "my-shop-2"), ("a.b.yaml", "a-b")],
)
def test_the_files_name_becomes_a_name_that_tfx_accepts(tmp_path: Path, file_name: str, name: str) -> None:
    assert read(tmp_path, TABLES, file_name).name == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prest: auto", r"unknown 'prest' \(did you mean 'preset'\?\)"),
        ("preset: grocer", r"`preset` is 'grocer' \(did you mean 'grocery'\?\); use one of auto, grocery"),
        ("settings: {train.epochs: 0}", "`train.epochs` is 0, expected a number of 1 or more"),
        ("settings: {towers.dropout: 1.5}", "`towers.dropout` is 1.5, expected a number of 0 or more and below 1"),
        ("settings: {train.learning_rate: inf}", "`train.learning_rate` is 'inf', expected a number"),
        (
            "preset: none\nsettings: {examples.stride: 51}",
            "`examples.stride` is 51, expected at most the 50 of `examples.max_events`; lower it or raise that$",
        ),
        ("preset: discovery\nsettings: {examples.stride: 51}", r"50 of `examples.max_events`.* \(with the preset disc"),
        (
            "settings: {examples.max_events: 50}",
            r"stride` is 64, expected at most the 50 .* \(with the preset grocery\)",
        ),
        ("preset: retail\nsettings: {towers.heads: 3}", "`towers.heads` is 3, expected a divisor of `towers.dim`, 64"),
        ("settings: {examples.split.test_days: 0}", "`examples.split.test_days` is 0, expected a number of 1 or more"),
        (
            "settings: {examples.split.validation_days: 0}",
            "`examples.split.validation_days` is 0, expected a number of",
        ),
        ("settings: {tune.max_trials: 5}", "tune.max_trials is 5 but tune.space names no setting"),
        ("settings: {tune.space: {train.epochs: []}}", r"values of 'train.epochs' are \(\); give one or more"),
        ("settings: {tune.space: {ranking.epochs: 1}}", "setting 'ranking.epochs' can't be tuned"),
        ("settings: {features.bert: /no/such}", "`features.bert` is '/no/such', but there is no such folder; name a"),
        ("settings: {verdict.slice: novle}", r"`verdict.slice` is 'novle' \(did you mean 'novel'\?\)"),
        ("floor: [recent_popularty]", r"`verdict.floor` is 'recent_popularty' \(did you mean 'recent_popularity'\?\)"),
        ("label_kinds: [purchse]", r"`evaluation.label_kinds` is 'purchse' \(did you mean 'purchase'\?\)"),
        ("settings: {train.learnig_rate: 1}", r"no setting 'train.learnig_rate' \(did you mean 'train.learning_rate'"),
        ("settings: {train.mask_positives: baskets}", r"`train.mask_positives` is 'baskets' \(did you mean 'basket'"),
        ("settings: {train.epochs: many}", "`train.epochs` is 'many', expected a whole number"),
        ("settings: {train.epochs: 1.5}", "`train.epochs` is '1.5', expected a whole number"),
        ("settings: {towers.dropout: [0.1, 0.2]}", r"`towers.dropout` is \['0.1', '0.2'\], expected a number"),
        ("settings: {train.logq: maybe}", "`train.logq` is 'maybe', expected true or false"),
        ("settings: {ranking.hidden: [8, x]}", "`ranking.hidden` is 'x', expected a whole number"),
        ("settings: {train: {epochs: 3}}", "there is no setting 'train'"),
        ("settings: {velocity: 3}", "there is no setting 'velocity'; use one of evaluation..., examples..."),
        ("settings: {learning_rate: 3}", r"no setting 'learning_rate' \(did you mean 'train.learning_rate'"),
        ("settings: {ranking.epoch: 3}", r"no setting 'ranking.epoch' \(did you mean 'ranking.epochs'"),
        ("settings: {evaluation.test_days: 3}", r"did you mean 'examples.split.test_days'"),
        ("train.epochs: 4", r"has the setting 'train.epochs' beside the tables; write it under `settings`: {train.ep"),
        ("train.epoch: 4", r"the setting 'train.epoch' \(did you mean 'train.epochs'\?\) beside the tables"),
        ("beam: {defalt: {engine: local}}", r"did you mean 'default'"),
        ("beam: {default: {engine: local-paralel}}", r"did you mean 'local-parallel'"),
        ("beam: {default: {engine: local-parallel, worker: 2}}", r"worker of .* is '2' \(did you mean 'workers'"),
        ("settings: {clock: order}", "setting 'clock' is filled by the pipeline"),
        ("settings: {tune.space: {train.epoch: [1]}}", r"no setting 'train.epoch' \(did you mean 'train.epochs'"),
        ("settings: {tune.space: 3}", "`tune.space` is '3', expected settings with their values"),
        ("settings: [train.epochs]", r"settings is \['train.epochs'\], expected names with values"),
        ("floor: {a: b}", "`verdict.floor` is {'a': 'b'}, expected a list"),
        ("floor: [popularity]\nsettings: {verdict.floor: []}", "both `floor` and the setting 'verdict.floor'"),
        ("partitions: few", "`partitions` is 'few', expected a whole number"),
        ("partitions: 0", "`partitions` is 0, expected a number of 1 or more and of 99999 or less"),
        ("tables: ", "`tables` is blank, expected a folder; name one or remove the key"),
        ("out: ' '", "`out` is blank, expected a folder"),
        ("tables: [a]", r"`tables` is \['a'\], expected a text"),
        ("beam: {default: {engine: spak}}", "Beam engines is"),
        ("source: complete-journey", "has both `source` and tables of its own"),
        ("out: a\nout: b", "key 'out' stands twice"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_the_nearest_right_one(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as raised:
        read(tmp_path, TABLES + text)
    assert "\n" not in str(raised.value)


def test_a_file_without_an_ascii_letter_in_its_name_is_named_by_a_hash(tmp_path: Path) -> None:
    # printf 商店 | sha256sum
    file = read(tmp_path, TABLES, "商店.yaml")
    assert (file.name, file.tables) == ("shop-61f96c6a", "data/商店")


def test_a_file_with_the_name_of_a_run_of_the_project_needs_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=r"`out` is out, where laptop is already the run of the project; name another"
    ):
        read(tmp_path, TABLES, "laptop.yaml")
    assert read(tmp_path, TABLES + "out: mine\n", "laptop.yaml").out == "mine"


def test_a_name_that_is_neither_a_file_nor_a_run_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"run 'laptp' is not one of .*tiny \(did you mean 'laptop'\?\); give .* such as shop.ya"
    ):
        find_run("laptp")
    with pytest.raises(ConfigError, match=r"no.yaml can't be read"):
        find_run("no.yaml")


def test_the_projects_own_runs_are_such_files() -> None:
    assert run_names() == ["discovery", "full", "gpu", "laptop", "retail", "tiny"]
    laptop = named_run("laptop")
    assert (laptop.tables, laptop.argument) == (COMPLETE_JOURNEY, "--run laptop")
    assert laptop.config == preset("grocery")
    assert named_run("gpu").config.towers.text_mode == "full"
    assert named_run("tiny").config.ranking.hidden == (16,)


def test_the_preset_auto_needs_tables(tmp_path: Path, shop: TableSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read(tmp_path, TABLES)
    with pytest.raises(DataError, match="data/shop holds no ingested tables"):
        named_run("shop.yaml")
    # 4 of the 23 events with an item repeat one of the user: tea and pasta of ann, mug of bob,
    # lamp of cai, soap of eve twice, tea of fay: 7 of 23. The median of 5, 3, 4, 2, 4, 4 is 4.
    read(tmp_path, TABLES + f"tables: {shop.root}\n")
    # Too few users bought for purchases alone to be the labels.
    assert named_run("shop.yaml").config == preset("retail")


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("preset: none\ntables: here\n", encoding="utf-8")
    file = read_run_file(tmp_path / "run.yaml")
    assert (file.mapping, file.tables, file.argument) == (None, "here", "--run run")
