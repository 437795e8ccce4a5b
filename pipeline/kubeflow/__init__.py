"""Compile and submit a run of the pipeline to Kubeflow Pipelines, on the cluster of a settings file."""
