"""Code that every package may import: no models, no URLs."""
