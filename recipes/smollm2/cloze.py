"""Everyday questions from templates, for build_corpus: what people do and feel, and how things behave."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tasks import Pair, choose

NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Femi",
    "Grace",
    "Hiro",
    "Ivy",
    "James",
    "Kofi",
    "Lena",
    "Maria",
    "Nadia",
    "Omar",
    "Priya",
    "Quinn",
    "Rosa",
    "Sam",
    "Tara",
    "Uma",
    "Victor",
    "Wei",
    "Yusuf",
    "Zoe",
    "Alex",
    "Jordan",
    "Riley",
    "Casey",
    "Morgan",
]
# an event, why it came about, how the person feels, what they do next
SOCIAL = (
    (
        "{a} forgot {b}'s birthday",
        "was too busy at work to check the calendar",
        "guilty",
        "apologize and plan a late celebration",
    ),
    (
        "{a} helped {b} move to a new flat",
        "wanted to be a good friend",
        "tired but glad",
        "sit down and rest",
    ),
    (
        "{a} spilled coffee on {b}'s notes",
        "was not watching the table",
        "embarrassed",
        "clean up and offer to copy the notes",
    ),
    (
        "{a} won the school spelling contest",
        "had practised every evening",
        "proud",
        "tell the family the good news",
    ),
    (
        "{a} lent {b} an umbrella",
        "saw that it was raining hard",
        "kind",
        "ask for the umbrella back another day",
    ),
    (
        "{a} missed the last train home",
        "stayed too long at {b}'s house",
        "worried",
        "look for a bus or call a friend",
    ),
    (
        "{a} baked bread for the new neighbours",
        "wanted to make them feel welcome",
        "friendly",
        "carry the bread next door",
    ),
    (
        "{a} heard a strange noise at night",
        "was sleeping lightly",
        "frightened",
        "turn on the light and look around",
    ),
    (
        "{a} found {b}'s lost wallet in the park",
        "was walking the dog there",
        "helpful",
        "give the wallet back to {b}",
    ),
    ("{a} told {b} a secret", "trusted {b} completely", "relieved", "ask {b} not to tell anyone"),
    (
        "{a} studied all week for the exam",
        "wanted to get a good mark",
        "prepared",
        "go to bed early before the exam",
    ),
    (
        "{a} broke a promise to {b}",
        "had agreed to too many things",
        "ashamed",
        "explain what happened to {b}",
    ),
    (
        "{a} waited an hour for {b} at the station",
        "did not know the train was late",
        "impatient",
        "call {b} and ask what happened",
    ),
    ("{a} gave {b} a hand-made scarf", "knew that {b} was always cold", "generous", "see if the scarf fits"),
    (
        "{a} shouted at {b} during the game",
        "was upset about losing",
        "sorry",
        "calm down and make up with {b}",
    ),
    (
        "{a} moved to a city where nobody knew them",
        "was offered a better job",
        "lonely",
        "try to meet new people",
    ),
    ("{a} taught {b} how to ride a bicycle", "had been asked for help", "patient", "let {b} try alone"),
    (
        "{a} dropped the wedding cake",
        "tripped over the carpet",
        "horrified",
        "call the bakery for another cake",
    ),
    ("{a} read a sad letter from {b}", "had not heard from {b} in years", "sad", "write back to {b}"),
    (
        "{a} was chosen to lead the team",
        "had shown good judgement",
        "honoured",
        "thank everyone and make a plan",
    ),
)
FEEL = (
    "How does {a} most likely feel?",
    "How would you describe {a} now?",
    "What is {a} feeling afterwards?",
)
WHY = ("Why did this happen?", "What is the most likely reason?", "Why did {a} do this?")
NEXT = ("What will {a} probably do next?", "What should {a} do now?", "What does {a} want to do next?")
# a goal, a way that works, a way that does not
PHYSICAL = (
    (
        "keep {x} fresh for longer",
        ("milk", "lettuce", "cooked rice", "cut fruit", "fish"),
        "put it in the fridge in a closed container",
        "leave it in the sun on the window sill",
    ),
    (
        "dry {x} quickly",
        ("a wet towel", "a wool jumper", "a pair of jeans", "washed socks"),
        "hang it where air moves around it",
        "fold it and put it in a closed drawer",
    ),
    (
        "carry {x} up the stairs",
        ("soup", "water", "hot tea", "paint"),
        "pour it into a bucket or jar with a lid",
        "pour it into a paper bag",
    ),
    (
        "stop {x} from rolling off the table",
        ("a pencil", "an egg", "a marble", "an orange"),
        "put it in a small bowl",
        "tilt the table towards it",
    ),
    (
        "cut {x} into thin slices",
        ("a carrot", "a loaf of bread", "a cucumber", "cheese"),
        "use a sharp knife on a flat board",
        "press it with the back of a spoon",
    ),
    (
        "warm up {x}",
        ("cold hands", "a chilly room", "a cold bed"),
        "use a source of heat and keep the doors shut",
        "open every window in winter",
    ),
    (
        "hang {x} on a wall",
        ("a picture", "a clock", "a mirror", "a shelf"),
        "fix a strong hook in the wall first",
        "stick it on with a drop of water",
    ),
    (
        "remove dust from {x}",
        ("a bookshelf", "a lamp", "a keyboard", "the curtains"),
        "wipe it gently with a soft cloth or brush",
        "blow flour over it",
    ),
    (
        "loosen {x}",
        ("a tight jar lid", "a rusty bolt", "a stuck screw"),
        "grip it well and turn it counterclockwise",
        "turn it clockwise as hard as possible",
    ),
    (
        "protect {x} during a move",
        ("drinking glasses", "plates", "a vase", "a computer screen"),
        "wrap it in soft paper and pack it tightly",
        "throw it loose into a big box",
    ),
    (
        "make {x} float",
        ("a toy boat", "a block of clay", "a sheet of foil"),
        "shape it like a hollow bowl so it holds air",
        "squeeze it into a solid ball",
    ),
    (
        "see better in {x}",
        ("a dark cellar", "a tent at night", "a cave"),
        "switch on a torch",
        "put on dark glasses",
    ),
    (
        "clean up {x}",
        ("spilled juice", "a puddle of water", "spilled milk"),
        "soak it up with a dry sponge",
        "rub it with a plastic bag",
    ),
    (
        "find {x} in a messy room",
        ("a lost key", "an earring", "a phone"),
        "tidy one part of the room at a time",
        "cover the floor with more clothes",
    ),
)
# a statement about the world whose last words follow from the first
FACTS = (
    ("If you leave ice in a warm room, it will", "melt", "grow", "burn", "sing"),
    ("A feather dropped beside a stone in air lands", "later", "earlier", "upside up only", "never"),
    ("People carry an umbrella because it may", "rain", "be noon", "be Monday", "get quiet"),
    ("To cross a wide river without a bridge you need a", "boat", "ladder", "blanket", "pillow"),
    ("A candle goes out in a closed jar because it runs out of", "oxygen", "wax paper", "colour", "sound"),
    ("When the sun sets, it becomes", "dark", "louder", "taller", "sweeter"),
    (
        "Glass is more likely than rubber to",
        "break when dropped",
        "bounce when dropped",
        "stretch when pulled",
        "bend when pushed",
    ),
    (
        "A full bucket is harder to lift than an empty one because it is",
        "heavier",
        "older",
        "rounder",
        "bluer",
    ),
    ("If you are thirsty, you should", "drink some water", "close a book", "count to ten", "tie your shoes"),
    (
        "A plant kept in a dark cupboard for weeks will",
        "grow weak",
        "grow stronger",
        "turn to stone",
        "start to move",
    ),
    ("You wear gloves in winter to keep your hands", "warm", "wet", "sharp", "early"),
    ("Sugar stirred into hot tea will", "dissolve", "float away", "catch fire", "freeze"),
)


def social(rng: random.Random) -> Pair:
    i = rng.randrange(len(SOCIAL))
    a, b = rng.sample(NAMES, 2)
    part = rng.choice((1, 2, 3))
    others = rng.sample([s for j, s in enumerate(SOCIAL) if j != i], 2)
    event, right, *wrong = (s.format(a=a, b=b) for s in (SOCIAL[i][0], SOCIAL[i][part], *(o[part] for o in others)))
    asked = rng.choice((WHY, FEEL, NEXT)[part - 1]).format(a=a)
    if part == 1 and rng.random() < 0.3:
        return f"{event}. {asked}", f"Because {a} {right}."
    return choose(rng, f"{event}. {asked}", right, wrong)


def physical(rng: random.Random) -> Pair:
    goal, things, right, wrong = rng.choice(PHYSICAL)
    goal = goal.format(x=rng.choice(things))
    name = rng.choice(NAMES)
    form = rng.randrange(4)
    if form == 0:
        return f"How can I {goal}?", right[0].upper() + right[1:] + "."
    if form == 1:
        return choose(rng, f"{name} wants to {goal}. What is the better way?", right, [wrong])
    if form == 2:
        good = rng.random() < 0.5
        return (
            f"To {goal}, {name} decides to {right if good else wrong}. Will this work?",
            "Yes, that should work." if good else f"No. It would be better to {right}.",
        )
    return f"Complete the advice: To {goal}, ...", right + "."


def fact(rng: random.Random) -> Pair:
    start, right, *wrong = rng.choice(FACTS)
    lead = rng.choice(("Finish the sentence: ", "Which ending makes sense? ", "", f"{rng.choice(NAMES)} writes: "))
    return choose(rng, f"{lead}{start} ...", right, wrong)


def pairs(rng: random.Random, characters: int) -> Iterator[tuple[str, Pair]]:
    """Questions of all three forms until `characters` are reached, each with the name of its form."""
    used = 0
    while used < characters:
        form = rng.choices((social, physical, fact), (6, 4, 1))[0]
        pair = form(rng)
        used += len(pair[0]) + len(pair[1])
        yield form.__name__, pair
