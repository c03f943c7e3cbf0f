"""Accounts and tokens of other packages, taken over from their tables."""
