"""`tfrec VERB`: the command line in, calls of tfrec, pipeline and serving out."""
