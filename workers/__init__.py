"""Queue out: deliver events to handlers, send effects, sweep up what is overdue."""
