"""Everything about each venue, one folder a venue."""
