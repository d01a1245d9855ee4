"""Published models: versions in the store, and a loaded one that scores images."""
