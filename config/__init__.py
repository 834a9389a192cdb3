"""How the pieces are built from the environment: settings, logs, database, broker."""
