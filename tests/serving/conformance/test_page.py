"""The commands of docs/conformance.md fit the suite."""

from __future__ import annotations

from tests.serving import processes
from tests.serving.conformance import export


def test_the_guide_starts_the_stock_image_with_exactly_the_flags_of_the_suite() -> None:
    page = (processes.ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    flags = [line.strip(" \\") for line in page.splitlines() if line.startswith("      --")]
    expected = [flag.format(export.IN_IMAGE) for flag in (*export.FLAGS, export.MONITORING_FLAG)]
    assert sorted(flags) == sorted(expected)


def test_the_guide_uses_the_image_version_of_the_dockerfile() -> None:
    page = (processes.ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    built = (processes.ROOT / "Dockerfile.serving").read_text(encoding="utf-8")
    version = built.partition("ARG TF_SERVING_VERSION=")[2].split()[0]
    assert f"tensorflow/serving:{version} " in page
