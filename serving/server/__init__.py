"""The embedded model server as a process: takes the stock flags and files, opens the ports."""
