"""Record scans: findings become anomalies with a history, and people acknowledge and mute."""
