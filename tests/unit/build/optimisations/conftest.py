"""Tests that train run beside others: see load_program in dlagent.build.exported_program."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported
