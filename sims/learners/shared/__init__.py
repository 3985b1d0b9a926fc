"""What all learners share: `checks` of what they are given."""
