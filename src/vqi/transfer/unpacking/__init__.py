"""Archives of strangers, tar and zip, read without trust."""
