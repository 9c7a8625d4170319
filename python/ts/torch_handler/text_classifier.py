"""`text_classifier`: the classes of a text by its words and pairs of words. Needs torch."""

import torch

from ts.utils.util import map_class_to_label

from ._rows import payload
from .text_handler import TextHandler


class TextClassifier(TextHandler):
    """Tokens, and groups of up to `ngrams` of them, are what the network gets."""

    ngrams = 2

    def preprocess(self, data):
        """The first row's text as ids of its tokens. Only the first: this handler takes no batches."""
        text = payload(data[0])
        if isinstance(text, (bytes, bytearray)):
            text = text.decode("utf-8")
        text = self._remove_html_tags(text).lower()
        text = self._expand_contractions(text)
        text = self._remove_accented_characters(text)
        tokens = self._tokenize(self._remove_punctuation(text))
        grams = [
            " ".join(tokens[start : start + size])
            for size in range(1, self.ngrams + 1)
            for start in range(len(tokens) - size + 1)
        ]
        return torch.as_tensor([self.source_vocab[gram] for gram in grams], dtype=torch.long, device=self.device), text

    def inference(self, data, *args, **kwargs):
        ids, _ = data
        offsets = torch.as_tensor([0], device=self.device)
        return super().inference(ids, offsets)

    def postprocess(self, data):
        """Labels and probabilities of all classes."""
        return map_class_to_label(torch.softmax(data, dim=1).tolist(), self.mapping)

    def get_insights(self, text_preprocess, _, target=0):
        """How much each token speaks for a class."""
        if self.lig is None:
            raise RuntimeError("explanations need captum, and a network with an `embedding`")
        ids, _ = text_preprocess
        offsets = torch.tensor([0]).to(self.device)
        attributions = self.lig.attribute(ids, target=target, additional_forward_args=(offsets,))
        return [
            {
                "importances": self.summarize_attributions(attributions).tolist(),
                "words": self.get_word_token(ids.tolist()),
            }
        ]
