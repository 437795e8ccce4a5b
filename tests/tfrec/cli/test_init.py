"""`tfrec init`: the file that it writes, and what it says."""

from __future__ import annotations

import pytest

from tfrec.cli.main import main


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The working directory, with an event log of two known kinds and a word that is none."""
    monkeypatch.chdir(tmp_path)
    rows = ["u1,a,2024-01-05,view", "u1,a,2024-01-06,buy", "u2,b,2024-06-05,view", "u2,a,2024-06-06,hover"]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "log.csv").write_text("\n".join(["user,item,time,event", *rows, ""]), encoding="utf-8")
    (tmp_path / "raw" / "names.txt").write_text("one\ntwo\n", encoding="utf-8")
    return tmp_path


def test_init_writes_a_mapping_and_says_what_to_check(capsys, shop):
    assert main(["init", "raw"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "shop.yaml: interactions",
        "left out raw/names.txt: it has one column only; where blanks separate its values, write them as CSV",
        "next: check 1 line marked `# ?` in shop.yaml, then run: tfrec train shop.yaml",
    ]
    text = (shop / "shop.yaml").read_text(encoding="utf-8")
    assert "  path: raw/log.csv  # 4 rows\n" in text
    assert "    kind: event  # view 50 %, buy 25 %, hover 25 %\n" in text
    assert "  # ? no kind is known for hover (25 %)" in text
    assert "# Left out raw/names.txt: it has one column only" in text
    assert "label_kinds: [purchase]  # views are logged beside purchases\n" in text


def test_paths_are_relative_to_the_file_that_is_written(shop):
    (shop / "conf").mkdir()
    assert main(["init", "raw", "--out", "conf/my.yaml"]) == 0
    assert "  path: ../raw/log.csv  # 4 rows\n" in (shop / "conf" / "my.yaml").read_text(encoding="utf-8")


def test_an_existing_file_is_only_replaced_with_force(capsys, shop):
    (shop / "shop.yaml").write_text("mine", encoding="utf-8")
    assert main(["init", "raw"]) == 2
    assert "--out is shop.yaml, which exists; give another file, or --force to replace it" in capsys.readouterr().err
    assert (shop / "shop.yaml").read_text(encoding="utf-8") == "mine"
    assert main(["init", "raw", "--force"]) == 0
    assert "raw/log.csv" in (shop / "shop.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (["nosuch"], "nosuch does not exist; give a folder with the shop's files, or files"),
        (["raw/names.txt"], "raw/names.txt holds no interactions, expected a file with a user, an item and a time"),
        (["raw", "--out", "nosuch/shop.yaml"], "there is no folder nosuch; make it first"),
    ],
)
def test_what_init_can_not_do_is_an_error_of_one_line(capsys, shop, files, text):
    assert main(["init", *files]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1
    assert not (shop / "shop.yaml").exists()
