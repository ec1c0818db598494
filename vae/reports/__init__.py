"""What a run shows: figures, tables, and one page that holds them all."""
