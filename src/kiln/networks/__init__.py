"""The networks of instances: who reaches whom, and by what address. Knows no accounts, no SQL and no HTTP."""
