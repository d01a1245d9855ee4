"""Fine-tuning of a backbone on good images: one module per method, and their registry. Imports torch."""
