"""A recorded server, played once more."""
