"""Go's text/template as Prometheus uses it in labels and annotations.

lexing.py       text to pieces: words outside of ``{{ }}``, tokens inside
parsing.py      pieces to a tree; what Prometheus refuses at load is refused here
executing.py    a tree with the data of an alert to text
builtins.py     the functions of Go; functions.py those of Prometheus
formatting.py   values as Go's fmt prints them, printf

What Go and Prometheus know and this does not (``externalURL`` of a server that is away, say) is left in the text
as it stands, and noted.
"""

from meshdiag.rules.templates.executing import Data, Expanded, expand
from meshdiag.rules.templates.parsing import check_template

__all__ = ["Data", "Expanded", "check_template", "expand"]
