"""docs/conformance.md starts the stock image as the suite wants it."""

from __future__ import annotations

from tests.serving import processes
from tests.serving.conformance import export


def test_the_page_gives_the_stock_image_every_flag_of_the_suite_and_no_other() -> None:
    page = (processes.ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    flags = [line.strip(" \\") for line in page.splitlines() if line.startswith("      --")]
    expected = [flag.format(export.IN_IMAGE) for flag in (*export.FLAGS, export.MONITORING_FLAG)]
    assert sorted(flags) == sorted(expected)


def test_the_page_asks_the_image_that_is_built() -> None:
    page = (processes.ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    built = (processes.ROOT / "Dockerfile.serving").read_text(encoding="utf-8")
    version = built.partition("ARG TF_SERVING_VERSION=")[2].split()[0]
    assert f"tensorflow/serving:{version} " in page
