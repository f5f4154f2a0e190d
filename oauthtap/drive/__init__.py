"""Real clients, run without a person: found, installed, started, understood."""
