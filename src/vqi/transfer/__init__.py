"""Files from elsewhere into a local cache, and untrusted archives unpacked."""
