"""The parts of ``tools/generate_operations.py``: the service models, the words they lack, one writer per file."""
