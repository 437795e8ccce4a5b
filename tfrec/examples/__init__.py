"""Clean tables in, tf.Examples split by time, features of tf.Transform and batches out."""
