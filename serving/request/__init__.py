"""What belongs to one request: its status, deadline, metrics and log entry."""
