"""Templates of labels and annotations, as Go and Prometheus execute them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.rules.templates import Data, check_template, expand
from meshdiag.rules.templates.executing import MAX_OUTPUT
from tests.templates import CASES, ERRORS, OF_A_VALUE, data


@pytest.mark.parametrize(("template", "text"), CASES.items())
def test_a_template_makes_its_text(template: str, text: str) -> None:
    """Every construct gives what Prometheus gives (promtool is asked the same in the tests with real programs)."""
    assert check_template(template) == ""
    assert expand(template, data(42.5)).text == text


@pytest.mark.parametrize(("template", "said"), ERRORS.items())
def test_an_error_stands_in_the_text(template: str, said: str) -> None:
    """An alert whose annotation fails is still an alert: the text says what is wrong, as Prometheus's does."""
    text = expand(template, data(42.5)).text
    assert text.startswith("<error expanding template: ")
    assert said in text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ bogus }}", 'function "bogus" not defined'),
        ("{{ $label.x }}", 'undefined variable "$label"'),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 'undefined variable "$x"'),
        ("{{ $value ", "unclosed action"),
        ("{{ if true }}x", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ }}", "missing value for command"),
        ("{{ | $value }}", "missing value for command"),
        ('{{ "x }}', "unterminated quoted string"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ $value | 5 }}", "non executable command in pipeline stage 2"),
        ("{{ with 1 }}{{ else if 2 }}{{ end }}", "unexpected 'if' in else"),
        ("{{ if true }}" * 101 + "{{ end }}" * 101, "nested more than 100 levels deep"),
        ("{{ 5m }}", 'function "m" not defined'),
        ("{{/* x }}", "unclosed comment"),
    ],
)
def test_what_does_not_parse_is_refused_at_load(template: str, said: str) -> None:
    """A typo is found when the file is read, not when the alert fires."""
    assert said in check_template(template)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"%[2]d %[1]d" 11 22', "22 11"),
        ('"%[1]s %[1]s" "a" "b"', "a a"),  # nothing is extra where indexes choose
        ('"%d %d %#[1]x %#x" 16 17', "16 17 0x10 0x11"),
        ('"%[3]*.[2]*[1]f" 12.0 2 6', " 12.00"),
        ('"%6.2[1]f|" 3.14159', "  3.14|"),
        ('"%[2]*d" 4 2', "%!d(MISSING)"),
        ('"%[5]d" 1', "%!d(BADINDEX)"),
        ('"%[x]d" "a"', "%!d(BADINDEX)"),
        ('"%[1]2d" 1', "%!d(BADINDEX)"),
        ('"%[1].2f" 1.0', "%!f(BADINDEX)"),
        ('"%[1]%" 1', "%"),
    ],
)
def test_printf_takes_the_value_that_an_index_names(arguments: str, text: str) -> None:
    """Indexes before a verb, a width or a precision do what promtool showed them to do."""
    assert expand(f"{{{{ printf {arguments} }}}}", data(1.0)).text == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("see {{ externalURL }}/graph", "see {{ externalURL }}/graph"),
        ("{{ $externalURL }}{{ .ExternalURL }}", "{{ $externalURL }}{{ .ExternalURL }}"),
        ("{{ if $externalURL }}x{{ end }}", "{{ if $externalURL }}x{{ end }}"),
        ("a {{ if pathPrefix }}x{{ else }}y{{ end }} b", "a {{ if pathPrefix }}x{{ else }}y{{ end }} b"),
        ("{{ $u := externalURL }}{{ $u }} {{ $labels.job }}", "{{ $u := externalURL }}{{ $u }} a"),
        ('{{ printf "%[2" 1 2 }}{{ js "x" }}', '{{ printf "%[2" 1 2 }}{{ js "x" }}'),
        ("{{ (toTime 0).Format `2006` }}", "{{ (toTime 0).Format `2006` }}"),
    ],
)
def test_what_is_not_known_here_is_left_as_it_stands(template: str, text: str) -> None:
    """The address of a server that is away, say: the rest of the text is made all the same, and a note tells."""
    made = expand(template, data(1.0))
    assert made.text == text
    assert made.notes


def test_external_labels_that_nobody_knows() -> None:
    """Without the server's configuration they are left as they stand, which is not the same as empty."""
    made = expand("{{ $externalLabels.region }} {{ .ExternalLabels.x | toUpper }}", Data({}, 1.0))
    assert made.text == "{{ $externalLabels.region }} {{ .ExternalLabels.x | toUpper }}"
    assert made.notes[0] == "{{ $externalLabels.region }}: the server's external labels"


def test_a_loop_over_a_number() -> None:
    """Newer Prometheus counts, which the promtool of the other tests does not do yet."""
    assert expand("{{ range 3 }}{{ . }},{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}", data(1.0)).text == "0,1,2,01"


def test_text_is_bounded() -> None:
    """No template makes endless text: includes, widths and loops end in an error in the text."""
    for template in (
        '{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}',
        '{{ printf "%999999999d" 1 }}',
        "{{ range 999999999999 }}x{{ end }}",
        '{{ define "x" }}'
        + "{{ . }}" * 200
        + "{{ end }}"
        + '{{ range query "up" }}{{ template "x" printf "%9999d" 1 }}{{ end }}',
    ):
        made = expand(template, data(1.0))
        assert made.text.startswith("<error expanding template: "), template[:40]
        assert len(made.text) < MAX_OUTPUT


WORDS = [*"|()\"`'$.-", *"{{ }} if else end range with 5 $value .x printf %d x := = , /* */ -}} {{-".split()]  # noqa: SIM905


@given(st.lists(st.sampled_from(WORDS)))
def test_any_text_is_refused_or_executed(words: list[str]) -> None:
    """Whatever stands in a template, reading it gives an answer and executing it gives text."""
    template = " ".join(words)
    check_template(template)
    assert isinstance(expand(template, data(1.0)).text, str)


@given(st.sampled_from(OF_A_VALUE), st.floats())
def test_every_value_is_printed(template: str, value: float) -> None:
    """No number, however large, small or odd, is beyond the functions."""
    assert "<error" not in expand(template, data(value)).text


def test_label_values_are_text_and_nothing_else() -> None:
    """A label that holds a template is printed, not executed."""
    assert expand("{{ $labels.a }}", Data({"a": "{{ $value }}"}, 1.0)).text == "{{ $value }}"
