"""Client ID metadata documents: a client that is known by the URL of a document about itself."""
