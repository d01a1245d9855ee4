"""Files from elsewhere into a local cache, and archives of strangers unpacked."""
