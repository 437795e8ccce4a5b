"""The TFX nodes of the pipeline: artifacts in, artifacts out, each a thin call into tfrec."""
