"""Runs of one probe: its result, its bounds, its thread."""
