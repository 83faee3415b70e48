"""What Parley's figures are made with. Each module runs by itself and prints JSON lines."""
