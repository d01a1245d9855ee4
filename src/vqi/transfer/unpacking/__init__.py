"""Untrusted archives, tar and zip, read safely."""
