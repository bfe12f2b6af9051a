"""PromQL over samples held in memory: parse with promql-parser, evaluate here with Prometheus's semantics.

store.py         samples by series, found by metric name and matchers
filling.py       a store from recorded answers
parsing.py       text to expressions (expressions.py), errors with a caret under the place (places.py)
refusals.py      what Prometheus has and is not evaluated here, by name
selectors.py     what a query needs: metric names, matchers, ranges
evaluator.py     instant and range evaluation; functions*.py, aggregations.py, binary.py hold the operators
"""
