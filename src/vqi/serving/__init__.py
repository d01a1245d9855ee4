"""A service over HTTP: photographs in, verdicts out, and a page for people. Needs the extra ``serve``; never torch.

``app`` puts it together of models that somebody loaded; ``server`` runs it. One module per concept: ``models`` (what is
served, and its next version), ``line`` (how much is accepted), ``bodies`` (how a request is read), ``answers``,
``inference`` (the Open Inference Protocol), ``page``, ``metrics``, ``logs``, ``guard`` (the token), ``patience`` (slow
clients).
"""
