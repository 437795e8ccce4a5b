"""The pipeline on Kubeflow Pipelines: a run and a cluster's file in, a compiled pipeline, its pods and its submission out."""
