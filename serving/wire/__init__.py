"""TensorFlow Serving's messages: protocol buffers in, NumPy arrays and checked configurations out."""
