"""Test settings: hypothesis profiles (HYPOTHESIS_PROFILE=dev or ci), no display, one BLAS thread."""

import os
import signal

import hypothesis
import matplotlib
import threadpoolctl

matplotlib.use("Agg")
threadpoolctl.threadpool_limits(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite started in the background inherits "ignore" and passes it on

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
