"""How requests are signed: one module per scheme, every stage of the computation in the open.

Pure functions from values to text: no request, no clock, no storage. Doors
compute the stages from what arrived and compare; whoever sends asks ``sign``.
Nothing here imports anything else of ours.
"""
