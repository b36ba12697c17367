"""Telling people what is new, worse or recovered."""
