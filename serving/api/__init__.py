"""The calls of TensorFlow Serving's protocol, over gRPC and REST: messages in, messages out."""
