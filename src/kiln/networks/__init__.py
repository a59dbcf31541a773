"""The networks of instances: who reaches whom, and by what address. Knows no accounts and no SQL.

No operation uses it yet: instances have QEMU's user networking until VPCs are rows.
"""
