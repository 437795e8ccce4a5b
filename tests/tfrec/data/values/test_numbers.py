"""Numbers as people write them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tfrec.data.values.numbers import Numbers, read_numbers

FLOAT64 = pa.float64()


def _read(*texts: str | None, kind: pa.DataType = FLOAT64) -> Numbers:
    return read_numbers(pa.chunked_array([pa.array(texts, pa.string())]), kind)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        pytest.param(
            ["€ 1.234,50", "EUR 12", "1 234,5", "1.234", "7,99€"], [1234.5, 12, 1234.5, 1234, 7.99], id="comma"
        ),
        pytest.param(["$1,299.00", "1,234", "12.5", "US$ 5", "1'234.50"], [1299, 1234, 12.5, 5, 1234.5], id="point"),
        pytest.param(["1,234", "56"], [1234, 56], id="a comma alone before three digits is a thousand"),
        pytest.param(["1.234", "56"], [1.234, 56], id="a point alone is a fraction"),
        pytest.param(["0,500", "1,234"], [0.5, 1.234], id="no thousand begins with 0"),
        pytest.param(["1,50", "2,50", "1.75", "1,234"], [1.5, 2.5, 1.75, 1.234], id="the majority decides"),
        pytest.param(["1,234.5", "1,234,567"], [1234.5, 1_234_567], id="several commas are thousands"),
        pytest.param(
            ["₹1,00,000", "R$ 3.50", "99元", "￥１２", "12 zł", "Rs. 500"], [100_000, 3.5, 99, 12, 12, 500], id="signs"
        ),
        pytest.param(["5,-", "(5,00)", "5,25-", "−3", "+2"], [5, -5, -5.25, -3, 2], id="accounts"),
        pytest.param(["-1 pc", "2pcs", "3 Stück", "1,5 Stk."], [-1, 2, 3, 1.5], id="pieces"),
        pytest.param(["1e3", "1.5E-2", ".5", "7."], [1000, 0.015, 0.5, 7], id="plain"),
    ],
)
def test_a_number_is_read_as_its_column_is_written(texts: list[str], values: list[float]) -> None:
    numbers = _read(*texts)
    assert numbers.values.to_pylist() == values
    assert (numbers.missing, numbers.unreadable) == (0, 0)


def test_words_for_no_number_are_missing() -> None:
    numbers = _read("NaN", "NULL", r"\N", "None", "N/A", "NA", "-", "—", " ", None, "3")
    assert numbers.values.to_pylist() == [None] * 10 + [3.0]
    assert (numbers.missing, numbers.unreadable) == (9, 0)  # null needs no word


@pytest.mark.parametrize("text", ["from 7.99", "2 for 3", "inf", "1e400", "1_000", "0x10", "12:30", "1,2,3", "7 kg"])
def test_other_text_is_unknown_and_counted(text: str) -> None:
    numbers = _read("1", text, text)
    assert numbers.values.to_pylist() == [1.0, None, None]
    assert (numbers.unreadable, numbers.example) == (2, text)


def test_a_number_beyond_float32_is_unknown() -> None:
    assert _read("3e38", "1e39", kind=pa.float32()).unreadable == 1


def test_a_whole_number_takes_no_fraction_and_31_bits() -> None:
    numbers = _read("1.0", "2", "2.5", "3000000000", kind=pa.int32())
    assert numbers.values.to_pylist() == [1, 2, None, None]
    assert numbers.unreadable == 2


def test_each_file_is_read_as_its_own_values_are_written() -> None:
    texts = ["0,50", "1,50", "2,500", None, "1,200", "2.50", "1,200"]
    numbers = read_numbers(pa.chunked_array([pa.array(texts)]), FLOAT64, [4, 2, 1])
    # German, then American; the last file has no clear value, and a comma is between thousands.
    assert numbers.values.to_pylist() == [0.5, 1.5, 2.5, None, 1200.0, 2.5, 1200.0]
    assert numbers.unclear == "1,200"


@pytest.mark.parametrize(
    ("texts", "unclear"), [(["1,234", "56"], "1,234"), (["1.234"], "1.234"), (["1.234", "5.50"], ""), (["56"], "")]
)
def test_a_column_in_which_no_value_is_clear_is_named(texts: list[str], unclear: str) -> None:
    assert _read(*texts).unclear == unclear
