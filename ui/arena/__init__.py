"""The Arena tab: two negotiations side by side."""
