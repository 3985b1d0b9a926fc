"""The ledger of claims: `text` prints it, `explain` tells all about one claim, `judge` makes one for a learner of your own."""
