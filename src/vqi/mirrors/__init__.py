"""Models as other registries show them. The store is the truth: a mirror is made from it at any time.

``registry`` (which mirrors there are), ``mirroring`` (what all of them show), ``feeding`` (them, after a decision);
``mlflow_mirror``, ``model_registry_mirror`` (versions and the champion at a server of that kind).
"""
