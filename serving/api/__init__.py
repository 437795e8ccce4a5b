"""TensorFlow Serving's protocol over gRPC and REST: takes requests, gives replies or refusals."""
