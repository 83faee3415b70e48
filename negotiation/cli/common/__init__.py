"""What commands share: their errors and output, the sources of scenarios and runs, and keys of one's own."""
