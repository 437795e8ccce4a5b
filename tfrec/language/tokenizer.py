"""BERT tokenization as TensorFlow ops, the same in training and serving."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

from tfrec import config


class WordPiece(tf.Module):
    """BERT's WordPiece tokenizer; its vocabulary is an asset of the SavedModel."""

    def __init__(self, vocabulary: str, length: int, lowercase: bool = True):
        super().__init__()
        self.length = length
        self._tokenizer = tf_text.BertTokenizer(
            vocabulary, lower_case=lowercase, token_out_type=tf.int64, max_bytes_per_word=100
        )
        with tf.io.gfile.GFile(vocabulary) as file:
            tokens = file.read().splitlines()
        self.cls, self.sep = tokens.index("[CLS]"), tokens.index("[SEP]")

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """[n] strings -> [n, <= length] int64: [CLS] pieces [SEP], cut at the end."""
        # Cut a long text before it is tokenized: no piece is longer than its word.
        texts = tf.strings.substr(texts, 0, 16 * self.length, unit="UTF8_CHAR")
        pieces = self._tokenizer.tokenize(texts).merge_dims(-2, -1)[:, : self.length - 2]
        return tf_text.combine_segments([pieces], self.cls, self.sep)[0]


def word_piece_of(features: config.FeaturesConfig) -> WordPiece:
    """Make the tokenizer of the configured BERT."""
    return WordPiece(features.vocabulary, features.text_tokens, features.lowercase)
