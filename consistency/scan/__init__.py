"""Run checks and report the findings."""
