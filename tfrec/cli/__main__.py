"""`python -m tfrec.cli VERB`: the command `tfrec`."""

from __future__ import annotations

import sys

from tfrec.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
