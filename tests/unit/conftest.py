"""Two workers run these tests on two cores: threads of libraries would only get in their way."""

import os

# Read when numpy and torch are imported, so before any test module is.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
