"""Consistency over REST: reports, recorded scans, anomalies and their suppression."""
