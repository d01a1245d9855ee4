"""Where rows go besides a file: a webhook, an MQTT broker; each row at least once, and in order.

``outbox`` (what a command uses), ``waiting`` (the queue on the disk), ``registry`` (which sinks there are), and one
module per sink.
"""
