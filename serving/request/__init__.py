"""Parts of one request: client metadata in; status, deadline, metrics and log lines out."""
