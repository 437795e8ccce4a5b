"""The verbs from a shop's files to a served model."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfrec.cli.main import main
from tfrec.evaluation.per_user import METRICS
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Scores, SliceScores, Verdict

BIN = Path(sys.executable).parent


def test_report_writes_a_page_of_an_evaluation_file(capsys, tmp_path):
    slices = {"all": SliceScores(3, 0.1, dict.fromkeys(METRICS, 0.1234))}
    protocol = Protocol("test", 0, "utc", ("purchase",), "sold", 3, 0, 5, 0, "", "")
    evaluation = Evaluation(protocol, {"two-tower": Scores("two-tower", slices, 1.0)}, Verdict(True, ("good",)))
    kept, out = tmp_path / "evaluation.json", tmp_path / "page.html"
    kept.write_text(evaluation.to_json(), encoding="utf-8")
    assert main(["report", str(kept), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    assert "0.1234" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no.json", "there is no file no.json; give the evaluation.json"),
        ("nosuch", "run 'nosuch' is not one of"),
        ("tiny", "run tiny has no evaluation yet; make one: `tfrec train --run tiny`"),
    ],
)
def test_report_without_an_evaluation_is_an_error_of_one_line(capsys, tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    assert main(["report", name]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_ingest_by_flags_reads_a_shops_own_columns(capsys, tmp_path):
    # Three lines, the second and third alike: one of them is dropped.
    log = tmp_path / "log.csv"
    log.write_text("who,what,when\nann,tea,2024-01-05\nbob,mug,2024-01-06\nbob,mug,2024-01-06\n", encoding="utf-8")
    columns = [word for pair in ("user_id=who", "item_id=what", "timestamp=when") for word in ("--column", pair)]
    out = ["--out", str(tmp_path / "tables"), "--partitions", "2"]
    assert main(["ingest", "--interactions", str(log), *columns, "--kind", "purchase", *out]) == 0
    assert "2 partitions" in capsys.readouterr().out
    from tfrec.schema import read_table_set

    assert read_table_set(tmp_path / "tables").manifest.rows["interactions"] == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["ingest"], "--interactions is missing; give a file, or name a SOURCE"),
        (["ingest", "movielens"], "--path is missing; give the folder"),
        (["ingest", "no.yaml"], "mapping no.yaml can't be read"),
    ],
)
def test_ingest_names_a_missing_flag(capsys, words, text):
    assert main(words) == 2
    assert text in capsys.readouterr().err


def test_serving_a_missing_folder_is_an_error(capsys, tmp_path):
    assert main(["serve", "--model", str(tmp_path / "nosuch")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


@pytest.mark.slow
def test_serve_says_where_it_answers_and_ends_well_at_an_interrupt(capsys, served):
    command = [BIN / "tfrec", "serve", "--model", served, "--port", "0", "--rest-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        address = child.stdout.readline().split()[4]
        assert main(["search", "Tomato sauce", "--k", "1", "--server", address]) == 0
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert "Tomato sauce" in capsys.readouterr().out
    assert child.returncode == 0
    assert "Traceback" not in err


def test_a_shops_file_names_the_model_to_serve_and_the_run_to_report(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text("preset: none\n", encoding="utf-8")
    assert main(["serve", "shop.yaml"]) == 2
    assert f"--model is '{tmp_path}/out/serving/shop' but there is no such folder" in capsys.readouterr().err
    for words in (["report", "shop.yaml"], ["evaluate", "shop.yaml"], ["evaluate", "--run", "shop.yaml"]):
        assert main(words) == 2
        assert "run shop has no evaluation yet; make one: `tfrec train shop.yaml`" in capsys.readouterr().err


def test_ingest_takes_folder_and_partitions_from_the_file_unless_flags_name_others(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nann,tea,2024-01-05\n", encoding="utf-8")
    text = "interactions: {path: log.csv, kind: purchase}\ntables: here\npartitions: 3\npreset: retail\n"
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    assert main(["ingest", "shop.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-2].startswith("tables in here/snapshots/")
    assert main(["ingest", "shop.yaml", "--out", "there", "--partitions", "2"]) == 0
    out = capsys.readouterr().out
    assert "tables in there/snapshots/" in out
    assert "2 partitions" in out


def test_a_wrong_setting_ends_a_training_before_it_begins(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "interactions: {path: log.csv, kind: purchase}\nsettings: {train.learnig_rate: 1}\n"
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    assert main(["train", "shop.yaml"]) == 2
    assert "did you mean 'train.learning_rate'?" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.yaml"]


def test_the_folder_of_model_goes_before_that_of_the_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text("preset: none\n", encoding="utf-8")
    assert main(["serve", "shop.yaml", "--model", "out/serving/laptop"]) == 2
    assert "--model is 'out/serving/laptop' but there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "nosuch", "--run", "s.yaml"],
        ["train", "--run", "s.yaml", "nosuch"],
        ["search", "s.yaml", "tea", "--run", "nosuch"],
        ["kubeflow", "compile", "nosuch", "--run", "s.yaml"],
    ],
)
def test_two_runs_are_refused(capsys, words):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "are both given; name one" in capsys.readouterr().err


def test_ingest_and_report_take_the_run_flag_too(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nann,tea,2024-01-05\n", encoding="utf-8")
    (tmp_path / "shop.yaml").write_text("interactions: {path: log.csv, kind: purchase}\n", encoding="utf-8")
    assert main(["ingest", "--run", "shop.yaml"]) == 0
    assert "tables in data/shop/snapshots/" in capsys.readouterr().out
    assert main(["report", "--run", "shop.yaml"]) == 2
    assert "run shop has no evaluation yet" in capsys.readouterr().err
    for words in (["ingest", "movielens"], ["report", "no.json"]):
        assert main([*words, "--run", "shop.yaml"]) == 2
        assert "are both given; name one" in capsys.readouterr().err


def test_a_stray_date_ends_a_training_before_the_pipeline(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = "user_id,item_id,timestamp\nann,tea,2024-01-03\nann,tea,2024-01-04\nbob,tea,2024-06-01\n"
    (tmp_path / "log.csv").write_text(log, encoding="utf-8")
    settings = "settings: {examples.split.test_days: 7, examples.split.validation_days: 7}\n"
    text = f"interactions: {{path: log.csv, kind: purchase}}\npreset: none\n{settings}"
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    assert main(["train", "shop.yaml"]) == 2
    # The test window ends on 2024-06-01, so the validation window is 2024-05-19 to 05-25.
    assert "the validation window, 2024-05-19 to 2024-05-25, holds no label" in capsys.readouterr().err
    assert not (tmp_path / "out/pipelines/shop/metadata.sqlite").exists()


def test_a_folder_that_beam_cannot_read_ends_a_training_before_the_ingest(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nann,tea,2024-01-05\n", encoding="utf-8")
    text = "interactions: {path: log.csv, kind: purchase}\ntables: 'data [v2]'\n"
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    assert main(["train", "shop.yaml"]) == 2
    assert "but Beam reads * ? and [ in it as a pattern" in capsys.readouterr().err
    assert not (tmp_path / "data [v2]").exists()
