"""What `oauthtap run` does to the client it starts: environment, certificates, browser."""
