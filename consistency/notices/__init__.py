"""Notify people of new, worse and recovered checks."""
