"""The base of handlers for text: the vocabulary, and the steps that clean a text. Needs torch."""

import abc
import os
import re
import string
import unicodedata
from typing import List

import torch

from ts.utils.util import CLEANUP_REGEX

from .base_handler import BaseHandler
from .contractions import CONTRACTION_MAP

_CONTRACTIONS = re.compile("|".join(sorted(map(re.escape, CONTRACTION_MAP), key=len, reverse=True)), re.IGNORECASE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# What stands apart in basic English tokens, and what vanishes.
_APART = re.compile(r"(['.,()!?])")
_GONE = re.compile(r"[\";:]|<br />")


class TextHandler(BaseHandler, abc.ABC):
    """Children make ids of a text by `source_vocab`, which maps a token to its id."""

    def __init__(self):
        super().__init__()
        self.source_vocab = None

    def initialize(self, context):
        super().initialize(context)
        self.source_vocab = torch.load(self.get_source_vocab_path(context), weights_only=False)
        self.lig = self._explainer()

    def get_source_vocab_path(self, ctx):
        """The vocabulary's file: the manifest's `sourceVocab`, else `source_vocab.pt`."""
        properties = ctx.system_properties
        name = (ctx.manifest or {}).get("model", {}).get("sourceVocab", "source_vocab.pt")
        path = os.path.join(properties.get("model_dir"), name)
        if not os.path.isfile(path):
            raise FileNotFoundError("the archive lacks the vocabulary %s" % name)
        return path

    def get_word_token(self, input_tokens) -> List[str]:
        """The words of tokens' ids."""
        words = self.source_vocab.get_itos() if hasattr(self.source_vocab, "get_itos") else self._words()
        return [words[int(token)] for token in input_tokens]

    def summarize_attributions(self, attributions):
        """One number for each token, of length 1 together."""
        summed = attributions.sum(dim=-1).squeeze(0)
        return summed / torch.norm(summed)

    def _words(self) -> List[str]:
        return [word for word, _ in sorted(self.source_vocab.items(), key=lambda item: item[1])]

    def _explainer(self):
        """Explains by the network's first embedding; None where captum or such a layer is missing."""
        try:
            from captum.attr import LayerIntegratedGradients
        except ImportError:
            return None
        embedding = getattr(self.model, "embedding", None)
        return None if embedding is None else LayerIntegratedGradients(self.model, embedding)

    def _expand_contractions(self, text: str) -> str:
        def expand(match):
            found = match.group(0)
            full = CONTRACTION_MAP[found.lower()]
            return found[0] + full[1:] if found[0].isalpha() else full

        return _CONTRACTIONS.sub(expand, text)

    def _remove_accented_characters(self, text: str) -> str:
        return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")

    def _remove_html_tags(self, text: str) -> str:
        return CLEANUP_REGEX.sub("", text)

    def _remove_punctuation(self, text: str) -> str:
        return text.translate(_PUNCTUATION)

    # The name that older handlers call.
    _remove_puncutation = _remove_punctuation

    def _tokenize(self, text: str) -> List[str]:
        """Basic English tokens: lower case, marks apart from words."""
        return _APART.sub(r" \1 ", _GONE.sub(" ", text.lower())).split()
