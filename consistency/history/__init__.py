"""Findings become anomalies: what scans leave behind, what people say about it, and what both add up to."""
