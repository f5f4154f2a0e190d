"""Messages and text: what all else is built of. Imports nothing else of oauthtap."""
