"""Decisions, sans-I/O: node lists, plans, discovery, retries, pools. Time and randomness are arguments."""
