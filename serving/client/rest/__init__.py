"""The connection over TensorFlow Serving's REST API: numpy arrays in, HTTP and JSON out and back."""
