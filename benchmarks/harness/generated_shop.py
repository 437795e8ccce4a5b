"""A generated shop of any size, for measurements of speed: item popularity follows Zipf's law.

The shop is Parquet files and a mapping, for `tfrec ingest`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfrec.schema import DAY_SECONDS

WORDS = ("tea", "rice", "soap", "lamp", "bread", "juice", "paper", "spoon", "honey", "towel")
FIRST_TIMESTAMP, DAYS = 1_700_000_000, 120
MAPPING = """interactions:
  path: interactions.parquet
  columns: {user_id: user_id, item_id: item_id, timestamp: timestamp, price: price}
  kind: purchase
items:
  path: items.parquet
  columns: {item_id: item_id, title: title, brand: brand, price: price, category: [level1, level2]}
users:
  path: users.parquet
  columns: {user_id: user_id, city: city}
"""


def write_shop(folder: Path, items: int, users: int, events_per_user: int, seed: int = 0) -> Path:
    """Write a shop to `folder` unless it exists, and return the path of its mapping."""
    mapping = folder / "mapping.yaml"
    if mapping.exists():
        return mapping
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    _draw_items(random, items).to_parquet(folder / "items.parquet")
    cities = random.choice(["north", "south", "east", "west"], users)
    pd.DataFrame({"user_id": [f"u{number}" for number in range(users)], "city": cities}).to_parquet(
        folder / "users.parquet"
    )
    _draw_interactions(random, items, users, events_per_user).to_parquet(folder / "interactions.parquet")
    mapping.write_text(MAPPING, encoding="utf-8")  # last: it marks the shop as complete
    return mapping


def _draw_items(random: np.random.Generator, items: int) -> pd.DataFrame:
    words = random.choice(WORDS, (items, 3))
    return pd.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(items)],
            "title": [f"{' '.join(row)} {number}" for number, row in enumerate(words)],
            "brand": [f"brand {number}" for number in random.integers(0, 100, items)],
            "price": random.lognormal(1, 1, items).round(2),
            "level1": words[:, 0],
            "level2": words[:, 1],
        }
    )


def _draw_interactions(random: np.random.Generator, items: int, users: int, events_per_user: int) -> pd.DataFrame:
    """Draw events: half of a user's items by popularity, half from a range of the user's own."""
    events = users * events_per_user
    user = np.repeat(np.arange(users), events_per_user)
    popular = (items ** random.random(events)).astype(np.int64) - 1
    own = (user * 7919 + random.integers(0, 50, events)) % items
    row = np.where(random.random(events) < 0.5, popular, own)
    time = FIRST_TIMESTAMP + DAY_SECONDS * random.integers(0, DAYS, events) + 3600 * 12
    frame = pd.DataFrame({"user_id": user, "item_id": row, "timestamp": time, "price": random.lognormal(1, 1, events)})
    frame["user_id"] = "u" + frame.user_id.astype(str)
    frame["item_id"] = "i" + frame.item_id.astype(str)
    return frame
