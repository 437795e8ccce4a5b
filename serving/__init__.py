"""TensorFlow Serving's contract in Python: exported models in, answers over gRPC and REST out."""
