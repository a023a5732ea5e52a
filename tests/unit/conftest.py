"""Two workers run these tests on two cores: threads of libraries would only get in their way, and
how long an example takes says nothing.
"""

import os

from hypothesis import settings

# Read when numpy and torch are imported, so before any test module is.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("shared-cores", deadline=None)
settings.load_profile("shared-cores")
