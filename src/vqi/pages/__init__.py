"""What people read: the report, the table, the data page; self-contained HTML, no JavaScript."""
