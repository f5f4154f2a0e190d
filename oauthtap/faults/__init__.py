"""Faults on purpose (`--inject`): what each does, when it is made, what follows from it."""
