"""Templates of a foreign results file: they cost neither the memory nor the time of who reads them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from competency_gaps.harnesses.lm_eval.template import render

BOMBS = {
    "loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}"
    "{% endfor %}",
    "pattern": "{{ ('a' * 0 ~ x ~ 'b') | regex_replace('(a+)+$', '') }}",
    "namespace": "{% set ns = namespace(x='aa') %}" + "{% set ns.x = ns.x ~ ns.x %}" * 31 + "{{ ns.x | length }}",
    "center": "{{ ('a' | center(2000000000)) | length }}",
    "format": "{{ '{:>2000000000}'.format(1) | length }}",
    "names": "{% set a0 = x %}" + "".join(f"{{% set a{i + 1} = a{i} ~ a{i} %}}" for i in range(31)),
    "blocks": "{% set a0 = x %}"
    + "".join(f"{{% set a{i + 1} %}}{{{{a{i}}}}}{{{{a{i}}}}}{{% endset %}}" for i in range(31)),
    "lists": "{% set a0 = x %}" + "".join(f"{{% set a{i + 1} = [a{i}, a{i}] %}}" for i in range(31)) + "{{ a31 }}",
    "macros": "{% macro m0() %}{{ x }}{% endmacro %}"
    + "".join(f"{{% macro m{i + 1}() %}}{{{{ m{i}() }}}}{{{{ m{i}() }}}}{{% endmacro %}}" for i in range(31))
    + "{{ m31() }}",
    "replace": "{{ x" + ".replace('a', 'aaaaaaaaaa')" * 12 + " }}",
    "filter replace": "{{ x" + " | replace('a', 'aaaaaaaaaa')" * 12 + " }}",
    "join": "{% set a = x.join(x) %}"
    "{% set b = a.join(a) %}{% set c = b.join(b) %}{% set d = c.join(c) %}{{ d.join(d) }}",
    "just": "{{ x.ljust(2000000000) | length }}",
    "fill": "{{ x.zfill(2000000000) | length }}",
    "multiply": "{{ 'a' * 2000000000 }}",
    "percent": "{{ '%2000000000d' % 1 }}",
    "power": "{{ 9 ** 9 ** 9 ** 9 }}",
    "brackets": "{{ " + "(" * 5000 + "x" + ")" * 5000 + " }}",
    "letters": "{% for a in x %}{{ a }}{% endfor %}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(name):
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from competency_gaps.harnesses.lm_eval.template import render\n"
        "sys.exit(render(sys.argv[1], {'x': 'a' * 40}) is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code, BOMBS[name]], timeout=20, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Question: {{question.strip()}}\nAnswer:", "Question: Who jumps?\nAnswer:"),
        ("{% for one in choices.text %}{{loop.index}}. {{one}}\n{% endfor %}", "1. a fox\n2. a dog\n"),
        ("{{question | trim | upper}}{{ ' (' ~ choices.label[0] ~ ')' }}", "WHO JUMPS? (A)"),
        ("{{choices.text | join(', ')}}", "a fox, a dog"),
        ("{{ ', '.join(choices.text) }}{{ 2 * 3 }}", "a fox, a dog6"),
        ("{% set q = question.replace('?', '!') %}{{ q if q.strip() else 'none' }}\n", "Who jumps! \n"),
        ("{{ choices['text'][1][:3] + '.' }}", "a d."),
        ("{% if label == 1 %}one{% elif label is defined %}{{ label }}{% endif %}", "one"),
    ],
)
def test_what_tasks_write_is_rendered(template, text):
    doc = {"question": "Who jumps? ", "choices": {"text": ["a fox", "a dog"], "label": ["A", "B"]}, "label": 1}
    assert render(template, doc) == text


def test_a_document_may_be_hostile_too():
    assert render("{{ x }}", {"x": "a" * 300_000}) is None
    assert render("{% for a in x %}{{ a }}{% endfor %}", {"x": ["a"] * 1000}) is None
