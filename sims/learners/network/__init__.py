"""Collect what network learners share.

The modules are `kernels` (compiled loops), `passes` (outputs and gradients), `descent` (training and its derivatives),
`second` (its second derivatives), `classes` (labels and answers of several outputs), `objective` (minima near trained parameters)
and `proximal` (proximal Bregman responses).
"""
