"""The networks of instances: who reaches whom, and by what address. Knows no accounts and no SQL."""
