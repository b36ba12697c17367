"""Implementation of the probes in health/health_probes.py, by service, folder or table."""
