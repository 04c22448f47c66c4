"""What the adapters of other frameworks share."""
