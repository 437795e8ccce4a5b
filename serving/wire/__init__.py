"""TensorFlow Serving's wire format: messages and text files in, arrays and configurations out."""
