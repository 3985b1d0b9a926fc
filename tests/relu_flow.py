"""Gradient flow of a relu network with one hidden layer and the squared loss, from one event to the next by SciPy.

The flow follows d theta/dt = -grad L. Every (point, unit) is on, off or sliding: where the gradients of both sides push back to
z = 0, the flow stays there with a share alpha of the unit's gradient, so that dz/dt = 0 (Filippov 1988). It knows nothing of
derivatives in the weights: these are differences of what it returns.
"""

import numpy as np
from scipy.integrate import solve_ivp


class Flow:
    """The flow for inputs X (N, d), targets y (N,), weights w (N,) and a penalty; theta has W (d, H), b (H,), v (H,), c."""

    def __init__(self, X, y, hidden, l2):
        self.inputs, self.y, self.hidden, self.l2 = np.c_[X, np.ones(len(X))], y, hidden, l2
        self.events = {"crossing": 0, "sliding": 0, "leaving": 0}

    def parts(self, theta):
        cut = self.inputs.shape[1] * self.hidden
        return theta[:cut].reshape(-1, self.hidden), theta[cut:-1], theta[-1]

    def z(self, theta):
        return self.inputs @ self.parts(theta)[0]

    def field(self, theta, w, gates):
        """-grad L with the given shares (N, H) of the units' gradients."""
        _, v, c = self.parts(theta)
        a = np.maximum(self.z(theta), 0.0)
        pushes = w * (a @ v + c - self.y) / len(w)
        inner = self.inputs.T @ (gates * pushes[:, None] * v)
        return -np.concatenate([inner.ravel(), a.T @ pushes, [pushes.sum()]]) - self.l2 * theta

    def rates(self, theta, w, gates):
        """dz/dt of all points and units (N, H)."""
        cut = self.inputs.shape[1] * self.hidden
        return self.inputs @ self.field(theta, w, gates)[:cut].reshape(-1, self.hidden)

    def shares(self, theta, w, on, sliding):
        """Gates (N, H): 1 where on, 0 where off, and where sliding the shares for which dz/dt = 0."""
        gates, places = on.astype(float), np.argwhere(sliding)
        if len(places):
            gates[sliding] = 0.0
            still = self.rates(theta, w, gates)[sliding]
            effect = np.empty((len(places), len(places)))
            for k, place in enumerate(places):
                gates[tuple(place)] = 1.0
                effect[:, k] = self.rates(theta, w, gates)[sliding] - still
                gates[tuple(place)] = 0.0
            gates[sliding] = np.linalg.solve(effect, -still)
        return gates

    def end(self, theta, w, time):
        """theta after this time."""
        t, on, sliding = 0.0, self.z(theta) > 0.0, np.zeros((len(self.y), self.hidden), dtype=bool)
        while t < time:
            fresh = (np.abs(self.z(theta)) < 1e-9) & ~sliding & (t > 0.0)  # the unit of the last event is still at its kink

            def derivative(_, theta, on=on, sliding=sliding):
                return self.field(theta, w, self.shares(theta, w, on, sliding))

            def least(_, theta, on=on, sliding=sliding, fresh=fresh):
                """Positive until a unit reaches its kink, or a share leaves [0, 1]."""
                away, gates = np.where(on, 1.0, -1.0) * self.z(theta), self.shares(theta, w, on, sliding)
                return np.where(sliding, np.minimum(gates, 1.0 - gates), np.where(fresh, np.inf, away)).min()

            least.terminal, least.direction = True, -1
            until = min(time, t + 0.01) if fresh.any() else time
            run = solve_ivp(derivative, (t, until), theta, method="DOP853", rtol=1e-10, atol=1e-11, events=least, max_step=0.2)
            t, theta = run.t[-1], run.y[:, -1]
            if run.status != 1:
                continue
            gates = self.shares(theta, w, on, sliding)
            margins = np.where(
                sliding, np.minimum(gates, 1.0 - gates), np.where(fresh, np.inf, np.where(on, 1.0, -1.0) * self.z(theta))
            )
            place = np.unravel_index(margins.argmin(), margins.shape)
            if sliding[place]:
                sliding[place], on[place] = False, gates[place] > 0.5
                self.events["leaving"] += 1
                continue
            sides = []
            for side in (False, True):
                trial = on.copy()
                trial[place] = side
                sides.append(self.rates(theta, w, self.shares(theta, w, trial, sliding))[place])
            if sides[0] > 0.0 > sides[1]:
                sliding[place] = True
                self.events["sliding"] += 1
            else:
                on[place] = not on[place]
                self.events["crossing"] += 1
        return theta

    def answers(self, theta, X_query):
        W, v, c = self.parts(theta)
        return np.maximum(np.c_[X_query, np.ones(len(X_query))] @ W, 0.0) @ v + c
