"""The answers: TensorFlow Serving's protocol in one Python process, and one client for both servers."""
