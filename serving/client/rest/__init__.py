"""The connection over TensorFlow Serving's REST API: numpy arrays in and out, JSON between."""
