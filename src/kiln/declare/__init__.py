"""The vocabulary in which operations, errors and states are declared. Imports nothing else of ours."""
