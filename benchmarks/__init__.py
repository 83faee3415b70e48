"""Benchmarks behind Parley's figures. Each module runs by itself and prints JSON lines."""
