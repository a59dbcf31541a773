"""Where images come from and what came of them: a graph of what the public API tells, and how it is drawn.

    reading     the API's answers         -> a Lineage (graph)
    cutting     a Lineage                 -> less of it: around one node, families folded
    rails       a Lineage                 -> rows, with the rails that join them
    drawing     rows                      -> SVG, one drawing for each row
    standing    a Lineage and a node      -> what stands on it, what deleting it would do

Nothing here asks anybody for anything.
"""
