"""The book of events: what came in, what is owed for it, and what has been done. Shared by receivers and workers."""
