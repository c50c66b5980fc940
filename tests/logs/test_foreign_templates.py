"""Templates of a foreign results file cost the reader neither memory nor time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from competency_gaps.logs.lm_eval import render

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
    "backslashes": "{{ " + "[" * 31 + "x" + "] ~ '\\\\'" * 31 + " }}",
    "texts of lists": "{{ (" + "(" * 30 + "x" + ".split('a') | lower)" * 30 + ") }}",
    "letters": "{% for a in x %}{{ a }}{% endfor %}",
}


def test_no_bomb_goes_off():
    code = (
        "import json, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from competency_gaps.logs.lm_eval import render\n"
        "print([name for name, bomb in json.load(sys.stdin).items() if render(bomb, {'x': 'a' * 40}) is not None])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(BOMBS), timeout=20, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr[-500:]


def test_a_template_runs_no_python():
    assert render("{{ x.__class__.__mro__[1] }}", {"x": "a"}) is None
    assert render("{{ cycler.__init__.__globals__.os.popen('id').read() }}", {"x": "a"}) is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Question: {{question.strip()}}\nAnswer:", "Question: Who jumps?\nAnswer:"),
        ("{{question | trim | upper}}{{ ' (' + choices.label[0] + ')' }}", "WHO JUMPS? (A)"),
        ("{{ question if question.strip() else 'none' }}\n", "Who jumps? \n"),
        ("{{ choices['text'][1][:3] + '.' }}", "a d."),
        ("{% if label == 1 %}one{% elif label is defined %}{{ label }}{% endif %}", "one"),
    ],
)
def test_what_tasks_write_is_rendered(template, text):
    doc = {"question": "Who jumps? ", "choices": {"text": ["a fox", "a dog"], "label": ["A", "B"]}, "label": 1}
    assert render(template, doc) == text


def test_a_long_document_bounds_the_parts_of_its_template():
    assert render("{{ x }}", {"x": "a" * 1_000_000}) == "a" * 1_000_000
    assert render("{{ x }}" * 100, {"x": "a" * 1_000_000}) is None
