"""A server's response as text."""

from __future__ import annotations

from serving.client import Recommendation
from tfrec.cli.render import search_note


def test_a_search_that_finds_only_items_without_a_title_warns():
    untitled, titled = Recommendation("7", "", -10.0), Recommendation("8", "Tea", -11.0)
    assert "none of these items has a title" in search_note([untitled, untitled])
    assert search_note([untitled, titled]) == ""
    assert search_note([]) == ""
