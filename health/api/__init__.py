"""Health over REST."""
