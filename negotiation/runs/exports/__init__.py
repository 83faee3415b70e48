"""Runs as other programs read them: the columns of tables, Parquet files and logs of Inspect."""
