"""English contractions and what they stand for, built from the few rules that they follow."""

from typing import Dict

_VERBS = "are could did does do had has have is might must need ought should was were would".split()
_ENDINGS = {"'d": "would", "'ll": "will", "'s": "is", "'ve": "have"}
_WHO = "he how i it she so that there they this to we what when where which who why you".split()
_IRREGULAR = {
    "ain't": "is not",
    "aren't": "are not",
    "can't": "cannot",
    "can't've": "cannot have",
    "'cause": "because",
    "i'm": "I am",
    "let's": "let us",
    "ma'am": "madam",
    "mayn't": "may not",
    "might've": "might have",
    "must've": "must have",
    "o'clock": "of the clock",
    "sha'n't": "shall not",
    "shan't": "shall not",
    "shan't've": "shall not have",
    "they're": "they are",
    "we're": "we are",
    "what're": "what are",
    "will've": "will have",
    "won't": "will not",
    "won't've": "will not have",
    "y'all": "you all",
    "y'all'd": "you all would",
    "y'all'd've": "you all would have",
    "y'all're": "you all are",
    "y'all've": "you all have",
    "you're": "you are",
}


def _build() -> Dict[str, str]:
    built = {}
    for verb in _VERBS:
        built[verb + "n't"] = verb + " not"
        built[verb + "n't've"] = verb + " not have"
    for verb in ("could", "should", "would"):
        built[verb + "'ve"] = verb + " have"
    for who in _WHO:
        said = "I" if who == "i" else who
        for ending, word in _ENDINGS.items():
            built[who + ending] = "%s %s" % (said, word)
        built[who + "'d've"] = said + " would have"
        built[who + "'ll've"] = said + " will have"
    built.update(_IRREGULAR)
    return built


CONTRACTION_MAP: Dict[str, str] = _build()
