"""The verb `init`: a shop.yaml guessed from a shop's files."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec.errors import ConfigError


def init(options: argparse.Namespace) -> None:
    """guess a shop.yaml from a shop's files"""
    from tfrec.data.guess.shop import guess_shop

    out = Path(options.out)
    if out.exists() and not options.force:
        raise ConfigError(f"--out is {out}, which exists; give another file, or --force to replace it")
    if not out.parent.is_dir():
        raise ConfigError(f"--out is {out}, but there is no folder {out.parent}; make it first")
    guess = guess_shop([Path(path) for path in options.files], out.parent)
    out.write_text(guess.text, encoding="utf-8")
    print(f"{out}: {', '.join(guess.tables)}")
    for file, reason in guess.ignored.items():
        print(f"left out {file}: {reason}")
    lines = f"{guess.n_doubts} line{'s' * (guess.n_doubts != 1)} marked `# ?` in {out}"
    check = f"check {lines}" if guess.n_doubts else f"look through {out}"
    print(f"next: {check}, then run: tfrec train {out}")


def init_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `init`."""
    parser.add_argument("files", nargs="+", metavar="FOLDER_OR_FILE", help="where the shop's files are, any depth")
    parser.add_argument("--out", default="shop.yaml", help="the file to write (%(default)s)")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
