"""Following files by name through everything that happens to them, without losing or doubling a line."""
