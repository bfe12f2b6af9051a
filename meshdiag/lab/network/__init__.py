"""A network of the lab's own: a namespace and an address for each node, and a wire between them that can be slow.

The lab's process holds the namespaces by their descriptors, so that they have no names and end with it, and a
process of its own (``wire.py``) carries every packet from one to the other. So delay, loss and partition are
real for ping, TCP and whatever else is tried, on machines whose kernel cannot delay packets too.
"""
