"""Settings for every test."""

from hypothesis import settings

# the first example of a test may compile kernels
settings.register_profile("project", deadline=None)
settings.load_profile("project")
