"""What this machine grants and how work shares it: processor, memory, locks, scratch folders, threads."""
