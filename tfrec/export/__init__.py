"""A trained model in, a verified SavedModel that stock TensorFlow Serving serves out."""
