"""Reports: an evaluation in, tables for the terminal and an HTML page with plots out."""
