"""Review over REST."""
