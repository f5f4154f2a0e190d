"""The report: `model.py` is the contract, `build.py` makes one of an analyzed session."""
