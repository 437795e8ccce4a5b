"""Texts of requests: UTF-8, or an error that names the argument."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.client import Canary, Client, Event, Item
from serving.client.texts import encode, is_blank, strings
from tfrec.errors import ServingError

HALF = "caf\udce9"  # how Python reads the bytes of café in Latin-1


def test_texts_become_utf8() -> None:
    assert strings("item_id", ["茶", ""]).tolist() == [b"\xe8\x8c\xb6", b""]
    assert strings("item_id", []).shape == (0,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        (" \t\n", True),
        ("\u3000\u00a0", True),
        ("\u200b\x00", True),
        (" a ", False),
        ("茶", False),
        ("!", False),
    ],
)
def test_spaces_and_what_nothing_prints_are_blank(text: str, expected: bool) -> None:
    assert is_blank(text) is expected


@pytest.mark.parametrize("value", [HALF, b"tea", 42, None])
def test_what_utf8_can_not_write_is_refused(value: object) -> None:
    with pytest.raises(ServingError, match=r"item_id is .* but must be a text \(str\) that UTF-8 can write; decode"):
        encode("item_id", value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("query", lambda client: client.search(HALF)),
        ("item_id", lambda client: client.recommend([Event(HALF)])),
        ("user_id", lambda client: client.recommend([], user_id=HALF)),
        ("profile column city", lambda client: client.recommend([], profile={"city": HALF})),
        ("exclude", lambda client: client.recommend([], exclude=[HALF])),
        ("categories", lambda client: client.recommend([], categories=[HALF])),
        ("not_categories", lambda client: client.recommend([], not_categories=[HALF])),
        ("item_id", lambda client: client.rank([], [HALF])),
        ("item_id", lambda client: client.ctr([], [HALF])),
        ("item_id", lambda client: client.similar_items([HALF])),
        ("title", lambda client: client.embed_items([Item(HALF)])),
    ],
)
def test_every_method_names_the_argument_that_is_no_text(
    client: Client, name: str, call: Callable[[Client], object]
) -> None:
    with pytest.raises(ServingError, match=rf"^{name} is 'caf\\udce9' but must be a text"):
        call(client)


def test_a_model_a_label_an_address_and_a_user_of_a_canary_must_be_texts() -> None:
    with pytest.raises(ServingError, match="model is"):
        Client("127.0.0.1:1", HALF)
    with pytest.raises(ServingError, match="label is"):
        Client("127.0.0.1:1", label=HALF)
    with pytest.raises(ServingError, match="target is"):
        Client(HALF)
    with pytest.raises(ServingError, match="user_id is"):
        Canary(0.5).label(HALF)
