"""What can be wrong with any exchange of a handshake: network, certificates, addresses."""
