"""Result, execution and thread of a single probe."""
