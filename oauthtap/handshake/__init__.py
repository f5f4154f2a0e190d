"""What happened: what each exchange was for, why it was sent, and what it taught."""
