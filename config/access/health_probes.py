"""Remember the API keys for an outage of PostgreSQL."""

from config.access import keys
from health.registry import probe


@probe("api_keys", section=None, ttl=5.0, requires=("postgres",), refreshed=True)
def api_keys() -> None:
    """API keys can be read."""
    keys.remember()
