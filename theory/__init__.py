"""Pure mathematics on arrays: laws, transforms, datamodels, derivatives, claims. Imports nothing of sims or figures."""
