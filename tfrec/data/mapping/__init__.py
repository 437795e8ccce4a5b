"""Mapping of a shop's files and columns to the schema, from a YAML file or from flags.

    interactions:
      path: logs/*.csv.gz            # a file, folder or glob, or a list; relative to this YAML file
      columns: {user_id: CustomerID, item_id: StockCode, timestamp: InvoiceDate}
      kind: purchase                 # of all rows; or a column `kind` and `kinds: {buy: purchase}`
      cancelled: {column: InvoiceNo, prefix: C}  # without a prefix: any value but false, 0 or no
      per_session: [cancelled, user_id]  # stands on one line of an order and holds for all of them
      timestamp_format: auto         # or seconds, milliseconds, a strptime pattern: %d/%m/%Y
      timezone: Europe/Berlin        # of times that name no zone; default UTC
      context: [store, device]       # further columns of an event
      order: position                # without timestamps: an event's rank among its user's events;
                                     # or `row number`, the order of the rows in the files
    items:
      path: products.parquet
      columns: {item_id: sku, title: name, category: [department, aisle]}  # widest first
      extra: [package_size]          # further columns, names unchanged
      numbers: [weight]              # further columns of numbers
      vectors: {image: embedding}    # further columns of lists of numbers, renamed here
      category_paths: ','            # of several paths in a cell; category_levels: '/' in a path
    users:
      path: users.jsonl
      profile: [age, city]
    item_states: {path: prices.csv, columns: {from: valid_from, price: price, in_stock: stock}}
    reviews: {path: reviews.csv, columns: {stars: rating, text: body}}

Every table also takes the options of its files (readers/options.py: `format`, `encoding`,
`delimiter`, `header` ...), `missing` (further words for a missing value) and `only`. `only` maps a
column of the file to a regular expression (RE2): rows whose text does not match, such as postage,
are not read. A required column without an entry keeps its name. A list of columns gives the levels
of a category; of any other column, the first known value counts: `user_id: [account, cookie]`.
`interactions` may be a list of such tables, for example orders in one file and clicks in another.

The same file may describe the run that trains on the tables; pipeline/run_file.py reads RUN_KEYS.
"""

from tfrec.data.mapping.keys import RUN_KEYS, TABLE_KEYS
from tfrec.data.mapping.read import check_keys, mapping_from_flags, parse_mapping, read_mapping, read_yaml
from tfrec.data.mapping.tables import (
    ROW_NUMBER,
    Cancellation,
    DatedMapping,
    EventMapping,
    Mapping,
    TableMapping,
)

__all__ = [
    "ROW_NUMBER",
    "RUN_KEYS",
    "TABLE_KEYS",
    "Cancellation",
    "DatedMapping",
    "EventMapping",
    "Mapping",
    "TableMapping",
    "check_keys",
    "mapping_from_flags",
    "parse_mapping",
    "read_mapping",
    "read_yaml",
]
