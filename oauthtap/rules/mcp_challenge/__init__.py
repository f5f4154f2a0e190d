"""The refusal that starts a sign-in: its status, its header, and what hides it."""
