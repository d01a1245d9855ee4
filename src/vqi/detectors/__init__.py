"""Detectors of the anomalous among features: one module per detector, and their registry."""
