"""vqi.photographs.similarity: what photographs share is found in two ways, of which the cheaper one is taken."""

from __future__ import annotations

import numpy as np
import pytest

from vqi.photographs import similarity


@pytest.mark.parametrize("count", [40, 512, 513])
def test_the_main_directions_are_those_of_most_variance_whichever_way_they_are_found(count: int) -> None:
    rows = np.random.default_rng(count).standard_normal((count, 1024)).astype(np.float32)
    rows *= np.linspace(3, 1, 1024, dtype=np.float32)
    found = similarity._main_directions(rows, 5)
    assert found.shape == (1024, 5)
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-5)
    most = np.linalg.eigvalsh(rows.T.astype(np.float64) @ rows)[-5:].sum()
    assert np.square(rows @ found).sum() == pytest.approx(most, rel=1e-4)
