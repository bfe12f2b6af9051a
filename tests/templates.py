"""Templates of alerts with the text that they make, for the engine's own tests and for those against promtool.

Each is executed for an alert of these labels; ``query`` answers the series of ``SERIES``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshdiag.errors import QueryError
from meshdiag.rules.templates import Data

LABELS = {"instance": "localhost:9090", "job": "a"}
EXTERNAL = {"region": "eu"}
SERIES = (("i1", "a", 1.0), ("i0", "b", 0.0), ("i2", "c", 1.0))
"""Instance, job and value of the series of ``up``."""
VALUES = (
    0.0, 1.0, -1.0, 5.0, 0.5, 0.1, 1 / 3, 12345.678, 1e6, 123456789.0, 1e15, 1e-4, 1e-5, 1.234e-7, 2.0**40 + 1, 1e5,
    99999.0, 999.96, -2048.0, 86400.0 * 3 + 7261, 3661.0, 59.99999, 0.00042, 0.91357, 1.7e9 + 0.25,
    float("inf"), float("nan"),
)  # fmt: skip
OF_A_VALUE = (
    "{{ $value }}",
    "{{ .Value | humanize }}",
    "{{ $value | humanize1024 }}",
    "{{ humanizeDuration $value }}",
    "{{ $value | humanizePercentage }}",
    '{{ printf "%.2f|%8.3f|%-8.1f|%+d|%g|%e|%.3g|%G" $value $value $value $value $value $value $value $value }}',
    '{{ printf "%s|%q|%v|%08.2f|%+.1e|% .2f|%5v|%d" $value $value $value $value $value $value $value $value }}',
    "{{ if gt $value 1.0 }}big{{ else if lt $value 0.0 }}negative{{ else }}small{{ end }}",
    "{{ eq $value 5.0 }} {{ ne $value 5.0 }} {{ le $value 5.0 }} {{ ge $value 5.0 }} {{ not $value }}",
    '{{ and $value "x" }} {{ or $value "y" }}',
    '{{ print $value 1 "a" 2 3 }}{{ println $value "b" }}',
)
"""Templates whose text depends on the alert's value."""
CASES: dict[str, str] = {
    "{{ $labels.instance }} of {{ .Labels.job }}": "localhost:9090 of a",
    "{{ $labels.nope }}|": "|",
    "{{ $labels }}": "map[instance:localhost:9090 job:a]",
    "{{ $externalLabels.region }}|{{ .ExternalLabels.nope }}|": "eu||",
    "{{ $.Labels.job }} {{ $.Value }}": "a 42.5",
    "{{ $labels.job | toUpper }} {{ toLower \"AB\" }}": "A ab",
    '{{ title "foo-bar it\'s a_b c.d 3abc über x/y FOO" }}': "Foo-Bar It'S A_b C.D 3abc Über X/Y FOO",
    '{{ match "^loc.*:[0-9]+$" $labels.instance }}': "true",
    '{{ reReplaceAll "(.*):(.*)" "$2-$1" $labels.instance }}': "9090-localhost",
    '{{ reReplaceAll "a" "${1}x$$" "banana" }}': "bx$nx$nx$",
    '{{ reReplaceAll "." "x" "a\\nb" }}': "x\nx",
    '{{ "x" | printf "%s-%s" "y" }}': "y-x",
    '{{ range query "up" | sortByLabel "job" }}{{ .Labels.job }}={{ .Value }};{{ end }}': "a=1;b=0;c=1;",
    '{{ with query "up" | sortByLabel "job" }}{{ . | first | value }}{{ end }}': "1",
    '{{ query "up" | sortByLabel "job" | first | label "instance" }}': "i1",
    '{{ range $i, $e := query "up" | sortByLabel "instance" }}{{ $i }}:{{ $e.Labels.instance }} {{ end }}':
        "0:i0 1:i1 2:i2 ",
    '{{ with query "nope" }}yes{{ else }}no{{ end }}': "no",
    '{{ range query "nope" }}x{{ else }}none{{ end }}': "none",
    '{{ len $labels.instance }} {{ len (query "up") }} {{ index $labels "job" }}': "14 3 a",
    '{{ (index (query "up" | sortByLabel "job") 1).Value }} {{ (query "up" | sortByLabel "job" | first).Labels.job }}':
        "0 a",
    '{{- "a" -}}  b  {{- "c" }} d': "ab" + "c d",
    "{{/* hi */}}x {{- /* ho */ -}} y": "xy",
    "{{ $x := 5 }}{{ $x }}{{ if true }}{{ $x = 6 }}{{ $y := 7 }}{{ end }}{{ $x }}": "56",
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }}": "instance=localhost:9090,job=a,",
    '{{ "q\\"uo\\te\\u00e9" }} {{ `raw\\n` }} {{ \'a\' }} {{ 0x1F }} {{ 1e3 }} {{ 1_000 }} {{ -3 }} {{ .5 }}':
        'q"uo\teé raw\\n 97 31 1000 1000 -3 0.5',
    '{{ printf "%d %d %s" 5 }}': "5 %!d(MISSING) %!s(MISSING)",
    '{{ printf "%d" 5 6 "x" }}': "5%!(EXTRA int=6, string=x)",
    '{{ printf "%z %!" 5 }}': "%!z(int=5) %!!(MISSING)",
    '{{ printf "%d %s %f" "s" 5 5 }}': "%!d(string=s) %!s(int=5) %!f(int=5)",
    '{{ printf "%t %v %q %x %X %c %U %b %o" true true "a\\nb\\"" "hi" "hi" 65 65 5 8 }}':
        'true true "a\\nb\\"" 6869 6869 A U+0041 101 10',
    '{{ printf "%05d|%-5d|%5s|%-5s|%.2s|%+d|%*d|" 42 42 "ab" "ab" "abcd" 7 5 42 }}':
        "00042|42   |   ab|ab   |ab|+7|   42|",
    '{{ printf "%T %T %T %T %v" 5 5.0 "x" true nil }}': "int float64 string bool <nil>",
    '{{ printf "%+v %+d %x %q" 2.5 5 2.5 $externalLabels }} {{ html nil "a" }}':
        '2.5 +5 0x1.4p+01 map["region":"eu"] &lt;no value&gt;a',
    '{{ printf "%#x %#q %% %6.2f%% %.3d" 255 "a" 3.14159 5 }}': "0xff `a` %   3.14% 005",
    '{{ html "<a href=\\"x\\">\'&" }} {{ urlquery "a b&c/d" }}': "&lt;a href=&#34;x&#34;&gt;&#39;&amp; a+b%26c%2Fd",
    '{{ safeHtml "<b>" }} {{ graphLink "up == 0" }} {{ tableLink "up" }}':
        "<b> /graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
    '{{ stripPort "host:90" }} {{ stripPort "[::1]:90" }} {{ stripPort "::1" }} {{ stripPort "host" }}':
        "host ::1 ::1 host",
    '{{ stripDomain "a.b.c:90" }} {{ stripDomain "10.0.0.1:90" }} {{ stripDomain "a.b" }}': "a:90 10.0.0.1:90 a",
    '{{ parseDuration "1h30m" }} {{ humanize "1234567" }} {{ humanizeDuration "61" }}': "5400 1.235M 1m 1s",
    "{{ humanizeTimestamp 1500000000.123 }} {{ toTime 1500000000 }}":
        "2017-07-14 02:40:00.122 +0000 UTC 2017-07-14 02:40:00 +0000 UTC",
    '{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" $labels.job }}{{ template "x" 5 }}': "<a><5>",
    '{{ block "z" .Value }}[{{ . }}]{{ end }}': "[42.5]",
    '{{ range query "up" | sortByLabel "job" }}{{ if eq .Value 0.0 }}{{ break }}{{ end }}{{ .Labels.job }}{{ end }}':
        "a",
    '{{ range query "up" | sortByLabel "job" }}{{ if eq .Value 0.0 }}{{ continue }}{{ end }}{{ .Labels.job }}{{ end }}':
        "ac",
    '{{ eq $labels.job "x" "a" }} {{ lt "a" "b" }} {{ and true 0 "x" }} {{ or 0 "" "z" }}': "true true 0 z",
    '{{ slice "abcdef" 1 3 }} {{ index "abc" 1 }} {{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}': "bc 98 55",
    '{{ $value | printf "%.1f" | printf "%8s|" }} {{ args 1 "x" }}': "    42.5| map[arg0:1 arg1:x]",
    '{{ "a" }}} {{ "}}" }}': "a} }}",
    '{{ "日本" | len }} {{ printf "%5s|%-5s|%.1s" "日本" "日本" "日本" }}': "6    日本|日本   |日",
}  # fmt: skip
"""Templates for an alert whose value is 42.5, and their texts."""
ERRORS: dict[str, str] = {
    '{{ query "nope" | first }}': "error calling first: first() called on vector with no elements",
    '{{ parseDuration "5x" }}': 'not a valid duration string: "5x"',
    '{{ humanize "abc" }}': 'parsing "abc": invalid syntax',
    "{{ eq 1 1.0 }}": "error calling eq: incompatible types for comparison",
    "{{ gt $value 5 }}": "error calling gt: incompatible types for comparison",
    "{{ $labels.job.foo }}": "can't evaluate field foo in type string",
    "{{ .Nope }}": "can't evaluate field Nope in",
    "{{ nil }}": "nil is not a command",
    '{{ 5 "x" }}': "can't give argument to non-function",
    "{{ $x := $x }}": "undefined variable: $x",
    "{{ len 5 }}": "error calling len: len of type int",
    "{{ humanizeTimestamp 1e300 }}": "cannot be represented as a nanoseconds timestamp since it overflows int64",
    '{{ query "up{" }}': "error calling query: ",
    '{{ match "(" "x" }}': "error parsing regexp: ",
}
"""Templates that fail when they are executed, and a part of what then stands in their place."""


def answer(query: str) -> Iterator[tuple[Mapping[str, str], float]]:
    """What ``query`` finds."""
    if query == "up{":
        raise QueryError("it does not parse")
    if query == "up":
        for instance, job, value in SERIES:
            yield {"__name__": "up", "instance": instance, "job": job}, value


def data(value: float) -> Data:
    """What a template is given."""
    return Data(LABELS, value, EXTERNAL, answer)
