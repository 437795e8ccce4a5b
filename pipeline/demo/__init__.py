"""The demo: the commands that a user would type, run one after the other."""
