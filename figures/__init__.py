"""Pictures: each reads stored results and theory, never sims."""
