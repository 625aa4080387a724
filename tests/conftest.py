"""Settings of every test: hypothesis draws the same examples in every run, without deadlines."""

from hypothesis import settings

settings.register_profile("odemom", derandomize=True, deadline=None)
settings.load_profile("odemom")
