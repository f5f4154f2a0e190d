"""What the recorded exchanges mean: refusals, evidence, cause."""
