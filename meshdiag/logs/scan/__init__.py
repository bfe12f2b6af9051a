"""Going through log files fast: time windows by bisection, blocks, prefilters, the exact test of what they leave."""
