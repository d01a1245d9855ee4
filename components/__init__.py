"""The steps: one folder = one container step. ``component.py`` declares it, ``__main__.py`` runs it; no logic here."""
