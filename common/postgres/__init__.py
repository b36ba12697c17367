"""A Django database backend for PostgreSQL in which no wait outlasts the deadline of the caller."""
