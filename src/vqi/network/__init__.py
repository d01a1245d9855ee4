"""A network by name, its weights, its part up to a layer, what runs it, and its features. Imports torch."""
