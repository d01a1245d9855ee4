"""The commands of ``vqi``, one module each; ``group`` has them all.

A module imports click and the ground of the library; what its command needs is imported when the command runs.
"""
