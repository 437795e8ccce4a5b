"""Takes an evaluation; gives tables for the terminal and an HTML page with plots."""
