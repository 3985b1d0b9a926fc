"""Few cases in which every two values of two options meet: most faults need at most two options at once (Kuhn et al. 2004)."""

from itertools import combinations


def all_pairs(**options):
    """Cases {option: value}, about as many as the two longest lists have pairs, in place of every combination.

    Each case takes the first pair that no case has yet, and gives every other option the value that adds most new pairs: the same
    options always give the same cases. Values must be hashable.
    """
    names = list(options)
    missing = dict.fromkeys(
        ((a, x), (b, y)) for a, b in combinations(names, 2) for x in options[a] for y in options[b]
    )  # a dictionary, because a set has no order
    cases = []
    while missing:
        case = dict(next(iter(missing)))
        for name in names:
            if name not in case:
                case[name] = max(options[name], key=lambda value: len(_pairs_with(case, name, value, names) & missing.keys()))
        case = {name: case[name] for name in names}
        for pair in combinations(case.items(), 2):
            missing.pop(pair, None)
        cases.append(case)
    return cases


def _pairs_with(case, name, value, names):
    """Pairs that option = value makes with what the case has, in the order of the options."""
    return {
        ((other, chosen), (name, value)) if names.index(other) < names.index(name) else ((name, value), (other, chosen))
        for other, chosen in case.items()
    }


def label(case):
    """The values of a case, as the name of a test."""
    return ", ".join(map(str, case.values()))
