"""One script for each claim of the README: prints a table, writes JSON."""
