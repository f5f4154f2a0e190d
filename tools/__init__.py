"""What is generated from the code: pages of the rules, schema of the report."""
