"""TensorFlow Serving's REST API: takes HTTP and JSON, calls serving.api.handlers, gives JSON."""
