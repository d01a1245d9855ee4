"""Every file format between steps, as typed records and save/load pairs."""
