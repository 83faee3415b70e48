"""Forward passes: many rows at once or one at a time, their keys and values, and the threads that compute them."""
