"""MovieLens film ratings, from a folder of ml-100k, ml-1m or ml-latest (also 20m to 32m).

A rating becomes an event of kind `rating`, without its stars. A film's category is its first genre,
because genres are a set, not a path; the further column `genres` holds all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from tfrec.data.raw_tables import RawTables
from tfrec.data.readers.options import NO_QUOTE, FileOptions
from tfrec.data.readers.read import read_file
from tfrec.errors import DataError
from tfrec.schema import USERS

_GENRES = (  # the order of the flags in u.item
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)
_NO_GENRE = "(no genres listed)"
_RATINGS = ("user_id", "item_id", "rating", "timestamp")


def load(folder: str | Path) -> RawTables:
    """Load ratings, films and profiles of the folder; DataError if its layout is unknown."""
    folder = Path(folder)
    layouts: dict[str, Callable[[Path], RawTables]] = {
        "u.data": _load_ml_100k,
        "ratings.dat": _load_ml_1m,
        "ratings.csv": _load_ml_latest,
    }
    for name, read in layouts.items():
        if (folder / name).is_file():
            return read(folder)
    raise DataError(
        f"{folder} holds none of {', '.join(layouts)}; give the unpacked folder of ml-100k, ml-1m or "
        "ml-latest from https://grouplens.org/datasets/movielens"
    )


def _load_ml_100k(folder: Path) -> RawTables:
    names = ("item_id", "title", "release_date", "video_release_date", "url", *_GENRES)
    films = _read_headerless(_require_file(folder, "u.item"), names, "|")
    flags = zip(*(films[genre].to_pylist() for genre in _GENRES), strict=True)
    genres = [[g for g, flag in zip(_GENRES, row, strict=True) if flag == "1" and g != "unknown"] for row in flags]
    profile = ("user_id", "age", "gender", "occupation", "zip_code")
    users = _read_headerless(_require_file(folder, "u.user"), profile, "|")
    return _make_tables(_read_headerless(folder / "u.data", _RATINGS, "\t"), films, genres, users)


def _load_ml_1m(folder: Path) -> RawTables:
    films = _read_headerless(_require_file(folder, "movies.dat"), ("item_id", "title", "genres"), "::")
    profile = ("user_id", "gender", "age", "occupation", "zip_code")
    users = _read_headerless(_require_file(folder, "users.dat"), profile, "::")
    return _make_tables(_read_headerless(folder / "ratings.dat", _RATINGS, "::"), films, _split_genres(films), users)


def _load_ml_latest(folder: Path) -> RawTables:
    ratings = read_file(folder / "ratings.csv", ["userId", "movieId", "rating", "timestamp"]).rows
    ratings = ratings.rename_columns(list(_RATINGS))
    films = read_file(_require_file(folder, "movies.csv"), ["movieId", "title", "genres"]).rows
    films = films.rename_columns(["item_id", "title", "genres"])
    return _make_tables(ratings, films, _split_genres(films), USERS.empty_table())


def _read_headerless(path: Path, names: Sequence[str], delimiter: str) -> pa.Table:
    options = FileOptions(encoding="latin-1", delimiter=delimiter, quote=NO_QUOTE, header=tuple(names))
    return read_file(path, names, options).rows


def _require_file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise DataError(f"{folder} lacks {name}, which belongs to this layout of MovieLens; unpack the archive again")
    return folder / name


def _split_genres(films: pa.Table) -> list[list[str]]:
    return [[g for g in (text or "").split("|") if g and g != _NO_GENRE] for text in films["genres"].to_pylist()]


def _make_tables(ratings: pa.Table, films: pa.Table, genres: list[list[str]], users: pa.Table) -> RawTables:
    kinds = pa.array(["rating"] * ratings.num_rows, pa.string())
    items = {
        "item_id": films["item_id"],
        "title": films["title"],
        "category": pa.array([row[0] if row else None for row in genres], pa.string()),
        "genres": pa.array([", ".join(row) or None for row in genres], pa.string()),
    }
    events = ratings.drop_columns(["rating"]).append_column("kind", kinds)
    return RawTables(events, pa.table(items), users, timestamp_format="seconds")
