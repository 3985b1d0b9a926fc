"""Training and experiments: data sets, learners, retraining on all subsets, the command line. Imports theory, never figures."""
