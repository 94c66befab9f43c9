"""The actors: NodeRegistry, Dispatcher, CredentialsKeeper, KeyResolver and Discovery, and the messages they exchange.

Rules: each owns one value and publishes snapshots of it; they import messages, never one another; a request does not
wait for an actor as long as there is a node left to try.
"""
