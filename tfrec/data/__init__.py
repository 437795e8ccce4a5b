"""A shop's own files in, clean partitioned tables out."""
