"""The variables by which the one who starts a step tells it more than its flags do."""

# The file that takes the reason why a step failed, if it exists; Kubernetes' own where the variable is not set.
TERMINATION = "VQI_TERMINATION_LOG"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_BYTES = 4096  # that Kubernetes reads of it

# Pages that a report links to, as a JSON mapping from what they are called to their addresses, relative to the report.
LINKS = "VQI_REPORT_LINKS"

# Whole values, as a JSON mapping, of flags that are redacted on the command line, which every user of a machine sees.
SECRETS = "VQI_SECRET_FLAGS"
