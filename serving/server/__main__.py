"""`python -m serving.server`: the embedded model server, with the stock server's flags."""

from __future__ import annotations

import sys

from serving.server.main import main

if __name__ == "__main__":
    sys.exit(main())
