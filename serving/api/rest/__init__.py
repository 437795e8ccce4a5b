"""TensorFlow Serving's REST API: HTTP and JSON in, the calls of serving.api.handlers, JSON out."""
