"""The package draws pictures from stored results and `theory`; it never imports `sims`."""
