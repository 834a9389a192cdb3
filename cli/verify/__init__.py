"""`hookline verify`: why a signature does not hold, in plain words."""
