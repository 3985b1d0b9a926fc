"""Collect the mathematics on arrays: laws, transforms, datamodels, derivatives and claims.

The package imports nothing from `sims` or `figures`.
"""

from theory import earlier_paths

earlier_paths.keep(
    {
        "theory.budget": "theory.influence.budget",
        "theory.designs": "theory.sampling.designs",
        "theory.sampled": "theory.sampling.fit",
        "theory.stability": "theory.sampling.stability",
        "theory.surrogates": "theory.sampling.surrogates",
        "theory.trajectory": "theory.influence.trajectory",
    }
)
