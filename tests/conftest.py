"""Settings for every test."""

import pytest
from hypothesis import settings

# the first example of a test may compile kernels
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Makes the sampling kernels ready: else NumPy would answer for them, and be what is tested."""
    from sampler.readiness import KERNELS, make_ready

    for name in KERNELS:
        make_ready(name)
