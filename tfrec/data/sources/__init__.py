"""One module for each data set: reads its files into RawTables, without cleaning."""
