"""Training and experiments: data sets, learners, retraining on all subsets, the command line. Imports theory, never figures."""

from theory import earlier_paths

earlier_paths.keep({"sims.own": "sims.ledger.judge", "sims.proximal": "sims.learners.network.proximal"})
