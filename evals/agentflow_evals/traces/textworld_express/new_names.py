"""Names for made-up worlds: words that the games of the fold `train` know, and made-up ones.

Owns the choice of names, and the words of the games that have a meaning of their own: commands, places to cook, units.
"""

import random
from collections.abc import Iterator


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


KEPT = frozenset(
    _words(
        """
        a an and around barbeque book box chop clothes coin cook cookbook cupboard cutlery dice done door drawer east
        eat fridge g grill in instructions kg kitchen knife l look m math meal mg ml mm cm move north of open oven
        prepare problem put raw read room slice some south stove take the to toaster west
        """
    )
)
KNOWN = _words(
    """
    alley apple apples attic backyard banana bananas bar basement bathroom bedchamber bedroom bell black blue brown
    canteen carrot carrots cellar chamber cheese chicken cilantro circle closet cookery cookhouse corridor cubicle
    driveway flour garage grape grapefruit grapefruits grapes green greenhouse kitchenette launderette laundromat laundry
    library living lounge oak office oil olive onion onions orange oranges outside pantry papaya papayas parlor parsley
    peach peaches pepper pineapple pineapples playroom pork potato potatoes purple recreation red salon salt sauna
    scullery shower spare steam storage strawberries strawberry street studio study supermarket tangerine tangerines
    vault washroom water white wing workshop yard yellow zone
    """
)
MADE_UP = 0.4  # of the new names
LEAST_LETTERS = 4
# What English words are made of, so that a student has copied the pieces of any word it may meet.
_STARTS = _words(
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k kn l m n p ph pl pr qu r s sc sh sk sl sm sn sp squ st str sw t th tr "
    "tw v w wh y z"
)
_VOWELS = _words("a a a e e e i i i o o o u u ai ea ee ie oa oo ou y")
_ENDS = _words(
    "- - - - b d l ll m n nd ng p r rd rn rs s ss st th tch mp x y le on an es to ts ash et ot"
)
_PARTS = (_STARTS, _VOWELS, _ENDS)


def new_names(draw: random.Random) -> Iterator[str]:
    """Yield words, known and made-up ones, none twice."""
    seen = set[str]()
    while True:
        word = _made_up(draw) if draw.random() < MADE_UP else draw.choice(KNOWN)
        if word not in seen:
            seen.add(word)
            yield word


def _made_up(draw: random.Random) -> str:
    """Return a word that nobody knows, of four letters or more: shorter ones may be words."""
    word = ""
    while len(word) < LEAST_LETTERS:
        parts = range(draw.choice((1, 1, 2, 2)))
        word = "".join(map("".join, ((draw.choice(letters) for letters in _PARTS) for _ in parts)))
        word = word.replace("-", "")
    return word
