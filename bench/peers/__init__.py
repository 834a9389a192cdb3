"""The peers that are written in Python, as their own documentation writes them. The others are started by name."""
