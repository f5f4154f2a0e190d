"""Several clients or several servers in one recording, told apart."""
