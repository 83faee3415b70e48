"""Statistics and ratings, independent of negotiations."""
