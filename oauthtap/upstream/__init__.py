"""The way to the upstream server: connection options, and a first look at it."""
