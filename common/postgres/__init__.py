"""Django's PostgreSQL engine with one promise more: every wait for the server ends at the caller's deadline."""
