"""An evaluation in; tables for the terminal, an HTML page and its plots out."""
