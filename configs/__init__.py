"""Starting points: `base.py` lists every key, the others change a few."""
