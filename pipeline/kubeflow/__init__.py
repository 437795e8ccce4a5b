"""Compilation and submission of a run to Kubeflow Pipelines, and the work of its pods."""
