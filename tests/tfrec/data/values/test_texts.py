"""HTML in the texts of items, and several category paths in a cell."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tfrec.data.values.texts import WHOLE_CELLS, CategoryFormat, choose_paths, read_html


def _deepest(*cells: str | None, written: CategoryFormat = WHOLE_CELLS) -> list[str | None]:
    return choose_paths(pa.chunked_array([pa.array(cells, pa.string())]), written)[0].to_pylist()


def test_entities_and_tags_of_html_are_replaced_and_counted() -> None:
    titles = ["Salt &amp; pepper", "L&#39;or\u00e9al", "R&D; 3 < 5 > 2", None, "x &lt;b&gt;", "&amp;amp; &unknown;"]
    rows = pa.table(
        {
            "item_id": ["&amp;"] * 6,
            "title": titles,
            "description": ["<p>Warm.</p><br/>Soft", "a <b\nclass='x'>b</b>", "<size> 5", "", None, "x"],
        }
    )
    read, changes = read_html(rows)
    assert read["title"].to_pylist() == [
        *("Salt & pepper", "L'or\u00e9al", "R&D; 3 < 5 > 2", None, "x <b>", "&amp; &unknown;"),
    ]
    assert read["description"].to_pylist() == [" Warm.  Soft", "a  b ", "<size> 5", "", None, "x"]
    assert read["item_id"].to_pylist() == ["&amp;"] * 6
    assert changes == {"HTML in title": 4, "HTML in description": 2}


def test_an_ampersand_without_a_semicolon_is_no_entity() -> None:
    titles = ["Pen&notepad", "Salt &amp; pepper", "A&ltd", "Q&amp;A &copy2024"]
    assert read_html(pa.table({"title": titles}))[0]["title"].to_pylist() == [
        *("Pen&notepad", "Salt & pepper", "A&ltd", "Q&A &copy2024"),
    ]


def test_the_deepest_of_several_paths_is_selected_the_first_of_equals() -> None:
    cells = ["Clothing > Men, Clothing > Men > Tops", "Sale, Clothing > Men", "A > B, C > D", None, "Toys"]
    column = pa.chunked_array([pa.array(cells, pa.string())])
    deepest, several = choose_paths(column, CategoryFormat(paths=","))
    assert deepest.to_pylist() == ["Clothing > Men > Tops", "Clothing > Men", "A > B", None, "Toys"]
    assert several == 3
    assert _deepest("A/B|C/D/E", " |F/G", written=CategoryFormat("/", "|")) == ["C > D > E", "F > G"]


def test_paths_below_one_root_are_recognized_and_the_root_is_left_out() -> None:
    cells = [f"Shop/Men/Tops/Kind {n},Shop/Sale,Shop" for n in range(9)]
    assert _deepest(*cells, "Shop", "Shop/Men") == [*(f"Men > Tops > Kind {n}" for n in range(9)), "Shop", "Men"]


def test_a_comma_in_a_name_below_the_root_parts_no_paths() -> None:
    assert _deepest("Home/Garden, outdoor", "Home/Bed, Bath/Towels,Home/Sale", "Home/Sofas, Home") == [
        *("Garden, outdoor", "Bed, Bath > Towels", "Sofas"),
    ]


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        ("Food>Pasta", "Food > Pasta"),
        (" Food > > Pasta ", "Food > Pasta"),
        ("Bed, Bath", "Bed, Bath"),
        ("Bread/Rolls", "Bread/Rolls"),
        (">", None),
    ],
)
def test_without_a_format_a_cell_is_one_path(cell: str, path: str | None) -> None:
    assert _deepest(cell, "Other/x, y", "Third") == [path, "Other/x, y", "Third"]
