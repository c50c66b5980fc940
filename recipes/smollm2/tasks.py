"""Question-and-answer pairs for build_corpus: reasoning-gym families and questions made from WordNet."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

Pair = tuple[str, str]
LOG = logging.getLogger("tasks")
LETTERS = "ABCD"
# families whose questions are longer than a prompt may be, that need settings, or are mostly emoji or boxes
LEFT_OUT = {
    "composite",
    "boxnet",
    "rectangle_count",
    "string_splitting",
    "codeio",
    "mahjong_puzzle",
    "modulo_grid",
    "emoji_mystery",
    "figlet_font",
}
# families whose items state no answer (only a checker knows one)
LEFT_OUT |= {"graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
# families that take 0.1 s or more an item get a fixed, small number of items, so that the result does not
# depend on the speed of the machine
SLOW = {
    "knight_swap": 15,
    "zebra_puzzles": 60,
    "puzzle24": 60,
    "futoshiki": 30,
    "arc_agi": 80,
    "rearc": 100,
    "countdown": 200,
    "sokoban": 200,
    "word_ladder": 200,
    "intermediate_integration": 100,
    "polynomial_equations": 150,
    "group_anagrams": 300,
    "number_sequence": 250,
    "sudoku": 200,
    "game_of_life": 200,
}
TIME_LIMIT = 60.0
KINDS = (
    *[
        "bird",
        "fish",
        "fruit",
        "tree",
        "insect",
        "vegetable",
        "furniture",
        "vehicle",
        "garment",
        "tool",
        "building",
        "beverage",
        "disease",
    ],
    *[
        "sport",
        "game",
        "flower",
        "mammal",
        "reptile",
        "weapon",
        "dog",
        "emotion",
        "science",
        "city",
        "river",
        "container",
        "food",
        "boat",
    ],
    *("profession", "scientist", "writer", "musical instrument", "metallic element"),
)


def gym_pairs(family: str, characters: int, seed: int, longest: int = 1500) -> Iterator[Pair]:
    """Pairs of one reasoning-gym family up to `characters`; items without an answer are passed over."""
    import reasoning_gym  # here, so that the other sources can be read without it

    count = SLOW.get(family, 4000)
    # seeds from 100000 on, so that lower ones stay free for tests; some families draw progress dots
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        data = reasoning_gym.create_dataset(family, seed=100_000 + seed, size=count)
    random.seed(f"{seed}/{family}")  # for the families that also draw from the shared generator
    end, used = time.monotonic() + TIME_LIMIT, 0
    for i in range(count):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                item = data[i]
        except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # a generator that fails on one seed must not end the corpus
            LOG.warning("%s item %d: %s", family, i, str(error)[:80])
            continue
        question, answer = str(item["question"]).strip(), item["answer"]
        if answer is not None and len(question) + len(str(answer)) <= longest:
            used += len(question) + len(str(answer))
            yield question, str(answer)
        if used >= characters:
            return
        if time.monotonic() > end:
            LOG.warning("%s: stopped at its time limit after %d items; the corpus is then not reproducible", family, i)
            return


@dataclass
class Synset:
    pos: str
    words: list[str]
    gloss: str
    examples: list[str]
    hypernyms: list[str] = field(default_factory=list)
    antonyms: list[tuple[str, str]] = field(default_factory=list)


class WordNet:
    """The parts of WordNet 3.0 that the questions need, from the data files of Debian's wordnet-base."""

    NAMES: ClassVar = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}

    def __init__(self, folder: Path) -> None:
        self.synsets: dict[str, Synset] = {}
        for name, pos in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
            for line in (folder / f"data.{name}").read_text("utf-8").splitlines():
                if not line.startswith(" "):
                    self._add(line, pos)
        self.counts: dict[str, int] = defaultdict(int)
        for line in (folder / "cntlist.rev").read_text("utf-8").splitlines():
            key, _, count = line.split()
            self.counts[key.split("%")[0].replace("_", " ")] += int(count)
        self.children: dict[str, list[str]] = defaultdict(list)
        for key, synset in self.synsets.items():
            for parent in synset.hypernyms:
                self.children[parent].append(key)
        # everyday meanings: the first sense of words that the tagged texts behind WordNet use
        self.first = self._first_senses(folder)
        self.common = [
            k
            for k, s in self.synsets.items()
            if self.counts[s.words[0]] >= 2 and s.words[0].islower() and self.first.get(k[0] + s.words[0]) == k
        ]
        self.opposites = [
            (w, self.word(ref)) for s in self.synsets.values() for w, ref in s.antonyms if self.counts[w] >= 1
        ]
        below = {k: self.below(self.first["n" + k]) for k in KINDS}
        self.kinds = {k: sorted(keys) for k, keys in below.items() if len(keys) > 15}

    @staticmethod
    def _first_senses(folder: Path) -> dict[str, str]:
        """Part of speech and word to the key of its most frequent sense, which the index files list first."""
        first = {}
        for name, pos in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
            for line in (folder / f"index.{name}").read_text("utf-8").splitlines():
                if not line.startswith(" "):
                    f = line.split()
                    first[pos + f[0].replace("_", " ")] = pos + f[-int(f[2])]
        return first

    def _add(self, line: str, pos: str) -> None:
        facts, _, rest = line.partition(" | ")
        f = facts.split()
        count = int(f[3], 16)
        words = [re.sub(r"\(.*\)", "", w).replace("_", " ") for w in f[4 : 4 + 2 * count : 2]]
        examples = re.findall(r'"([^"]{12,})"', rest)
        gloss = re.sub(r'[;:]?\s*"[^"]*".*$', "", rest).strip().rstrip(";")
        synset = Synset(f[2], words, gloss, examples)
        links = f[4 + 2 * count + 1 :]
        for i in range(0, 4 * int(f[4 + 2 * count]), 4):
            kind, target, target_pos, place = links[i : i + 4]
            if kind in ("@", "@i"):
                synset.hypernyms.append(target_pos + target)
            elif kind == "!":
                synset.antonyms.append((words[int(place[:2], 16) - 1], f"{target_pos}{target}:{int(place[2:], 16)}"))
        self.synsets[pos + f[0]] = synset

    def below(self, key: str) -> set[str]:
        found, todo = set(), [key]
        while todo:
            for child in self.children[todo.pop()]:
                if child not in found:
                    found.add(child)
                    todo.append(child)
        return found

    def word(self, reference: str) -> str:
        key, _, number = reference.partition(":")
        return self.synsets[key].words[int(number) - 1]

    def entry(self, synset: Synset) -> str:
        """A synset rewritten as a dictionary entry in sentences."""
        text = f"{synset.words[0]} ({self.NAMES[synset.pos]}): {synset.gloss}."
        if synset.examples:
            text += " Example: " + " ".join(
                e[0].upper() + e[1:] + ("" if e[-1] in ".?!" else ".") for e in synset.examples
            )
        return text + (f" Also: {', '.join(synset.words[1:])}." if len(synset.words) > 1 else "")


def choose(rng: random.Random, question: str, right: str, wrong: list[str]) -> Pair:
    """A four-way multiple-choice question; the answer is the letter, the words, or both."""
    options = [right, *wrong]
    rng.shuffle(options)
    letter = LETTERS[options.index(right)]
    style = rng.randrange(3)
    mark = "." if style else ")"
    listed = (" " if style == 2 else "\n").join(f"{a}{mark} {o}" for a, o in zip(LETTERS, options, strict=False))
    answer = (letter, f"{letter}. {right}", right)[rng.randrange(3)]
    tail = {
        letter: rng.choice(["", "\nAnswer with the letter only."]),
        right: rng.choice(["", "\nGive the answer itself."]),
    }
    return f"{question}{' ' if style == 2 else chr(10)}{listed}{tail.get(answer, '')}", answer


def meaning(net: WordNet, rng: random.Random) -> Pair:
    synset = net.synsets[rng.choice(net.common)]
    word, pos = synset.words[0], net.NAMES[synset.pos]
    form = rng.choice(
        (
            'What does the {p} "{w}" mean?',
            'Define the word "{w}" as {a}.',
            'What is the meaning of "{w}"?',
            'Can you explain what "{w}" means, and use it in a sentence?',
            "Hi! I came across the word {w}. What does it mean?",
        )
    )
    if "sentence" in form and not synset.examples:
        form = 'In plain words, what does "{w}" mean?'
    answer = synset.gloss[0].upper() + synset.gloss[1:] + "."
    if "sentence" in form or (synset.examples and rng.random() < 0.4):
        answer += f' For example: "{synset.examples[0]}".'
    article = "an" if pos[0] == "a" else "a"
    return form.format(w=word, p=pos, a=f"{article} {pos}"), answer


def which_word(net: WordNet, rng: random.Random) -> Pair:
    synset = net.synsets[rng.choice(net.common)]
    same = [k for k in rng.sample(net.common, 60) if net.synsets[k].pos == synset.pos]
    wrong = list(dict.fromkeys(net.synsets[k].words[0] for k in same if net.synsets[k].words[0] not in synset.words))[
        :3
    ]
    form = rng.choice(
        (
            'Which word means "{g}"?',
            "Pick the {p} that fits this definition: {g}.",
            'Someone describes "{g}". Which word do they want?',
        )
    )
    question = form.format(g=synset.gloss, p=net.NAMES[synset.pos])
    return choose(rng, question, synset.words[0], wrong) if len(wrong) == 3 else (question, synset.words[0])


def fill_in(net: WordNet, rng: random.Random) -> Pair:
    while True:
        synset = net.synsets[rng.choice(net.common)]
        word = synset.words[0]
        for example in synset.examples:
            if len(example.split()) >= 5 and re.search(rf"\b{re.escape(word)}\b", example):
                gap = re.sub(rf"\b{re.escape(word)}\b", "____", example[0].upper() + example[1:])
                same = [net.synsets[k] for k in rng.sample(net.common, 60)]
                wrong = list(
                    dict.fromkeys(s.words[0] for s in same if s.pos == synset.pos and s.words[0] not in synset.words)
                )[:3]
                lead = rng.choice(("Fill in the blank: ", "Which word is missing? ", "Complete the sentence. "))
                if len(wrong) == 3 and rng.random() < 0.6:
                    return choose(rng, lead + gap, word, wrong)
                return f"{lead}{gap} (Hint: {synset.gloss}.)", word


def antonym(net: WordNet, rng: random.Random) -> Pair:
    word, opposite = rng.choice(net.opposites)
    form = rng.choice(
        ('What is the opposite of "{}"?', "Give an antonym of {}.", 'Which word means the opposite of "{}"?')
    )
    if rng.random() < 0.5:
        others = [net.synsets[k].words[0] for k in rng.sample(net.common, 8)]
        wrong = list(dict.fromkeys(w for w in others if w not in (word, opposite)))[:3]
        if len(wrong) == 3:
            return choose(rng, form.format(word), opposite, wrong)
    return form.format(word), opposite


def kind_of(net: WordNet, rng: random.Random) -> Pair:
    """Which of four things is a bird, or whether one thing is one; mostly with things that texts mention."""
    kind, *others = rng.sample(sorted(net.kinds), 4)
    if rng.random() < 0.5:
        others = others[:1] * 3
    right = _member(net, rng, net.kinds[kind])
    wrong = [_member(net, rng, [k for k in net.kinds[o] if k not in net.kinds[kind]] or net.kinds[o]) for o in others]
    article = "an" if kind[0] in "aeiou" else "a"
    one = f"a kind of {kind}" if kind in ("food", "furniture", "science") else f"{article} {kind}"
    name = right.words[0]
    if rng.random() < 0.25:
        if rng.random() < 0.5:
            return f'Is "{name}" the name of {one}?', f"Yes. {name[0].upper()}{name[1:]}: {right.gloss}."
        return f'Is "{wrong[0].words[0]}" the name of {one}?', f"No. It means: {wrong[0].gloss}."
    names = list(dict.fromkeys(w.words[0] for w in wrong if w.words[0] != name))
    form = rng.choice(("Which of these is {}?", "Which one is {}?", "Only one of the following is {}. Which?"))
    return choose(rng, form.format(one), name, names)


def _member(net: WordNet, rng: random.Random, keys: list[str]) -> Synset:
    known = [
        k for k in keys if net.counts[net.synsets[k].words[0]] and net.first.get("n" + net.synsets[k].words[0]) == k
    ]
    return net.synsets[rng.choice(known if len(known) >= 5 and rng.random() < 0.7 else keys)]


def word_pairs(net: WordNet, rng: random.Random, characters: int) -> Iterator[tuple[str, Pair]]:
    """Word questions of all forms until `characters` are reached, each with the name of its form."""
    forms = (meaning, which_word, fill_in, antonym, kind_of)
    used, weights = 0, (4, 3, 3, 1, 3)
    while used < characters:
        form = rng.choices(forms, weights)[0]
        pair = form(net, rng)
        used += len(pair[0]) + len(pair[1])
        yield form.__name__, pair
