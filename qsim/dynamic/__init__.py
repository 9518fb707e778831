"""Dynamic circuits: measurement, reset and classical control in the middle of a circuit."""
