"""What network learners share: `kernels` (compiled loops), `passes` (outputs and gradients), `descent` (training and derivatives
through it), `objective` (minima near trained parameters), `proximal` (proximal Bregman responses).
"""
