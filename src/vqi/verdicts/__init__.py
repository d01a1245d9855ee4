"""What operators say of photographs that a model scored: records in the store, never changed, and what follows of them.

``records`` (what is kept), ``book`` (where), ``standing`` (what counts of it), ``answering`` (one answer at a time).
"""
