"""Sources of prices: a live venue, a seeded random walk, recorded files."""
