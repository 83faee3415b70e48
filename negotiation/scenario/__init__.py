"""What is negotiated, and what is optimal in it: scenario files, analysis, checks, import and export."""
