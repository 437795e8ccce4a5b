"""`python -m serving.server`: the embedded model server, with the flags of tensorflow_model_server."""

from __future__ import annotations

import sys

from serving.server.main import main

if __name__ == "__main__":
    sys.exit(main())
