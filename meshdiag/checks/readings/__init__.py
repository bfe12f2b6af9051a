"""What several checks and views read of the mesh before they judge: who its nodes are, one value a node, every
alert on one board, how a value moves. Nothing in here is a check."""
