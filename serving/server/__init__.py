"""The embedded model server as a process: stock flags and files in, open ports out."""
