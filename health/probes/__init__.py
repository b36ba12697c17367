"""Code behind the probes of health/health_probes.py: each module reads one service, folder or table."""
