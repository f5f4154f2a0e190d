"""Protected resource metadata: the document that says which resource this is, and who guards it."""
