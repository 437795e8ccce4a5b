"""Ops that the stock server supports, and the parts of a SavedModel that it can't run.

Its binary links TensorFlow's own ops, found in TensorFlow's registry in this process, and those of
tensorflow-text (`SUPPORTED_TENSORFLOW_OPS` in tensorflow/serving,
tensorflow_serving/model_servers/BUILD). It has neither ScaNN's ops nor Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfrec.errors import ModelError

TEXT_OPS = frozenset(
    """CaseFoldUTF8 ConstrainedSequence FastBertNormalize FastWordpieceTokenizeWithOffsets FindSourceOffsets
    MaxSpanningTree NormalizeUTF8 NormalizeUTF8WithOffsetsMap PhraseTokenize RegexSplitWithOffsets RougeL
    SentenceFragments SentenceFragmentsV2 SentencepieceDetokenizeOp SentencepieceIdToStringOp SentencepieceOp
    SentencepieceStringToIdOp SentencepieceTokenizeOp SentencepieceTokenizeWithOffsetsOp SentencepieceVocabSizeOp
    SplitMergeTokenizeWithOffsets TFText>BoiseTagsToOffsets TFText>ByteSplitByOffsets TFText>ByteSplitWithOffsets
    TFText>FastSentencepieceDetokenize TFText>FastSentencepieceTokenize TFText>FastWordpieceDetokenize
    TFText>NgramsStringJoin TFText>OffsetsToBoiseTags TFText>PhraseDetokenize TFText>RoundRobinGenerateMasks
    TFText>RoundRobinTrim TFText>Utf8Binarize TFText>WhitespaceTokenizeWithOffsetsV2 TokenizerFromLogits
    UnicodeScriptTokenizeWithOffsets WhitespaceTokenizeWithOffsets WordpieceTokenizeWithOffsets""".split()
)
"""Ops of tensorflow-text; the stock server links all of them from 2.20 on."""

PYTHON_OPS = frozenset(("EagerPyFunc", "PyFunc", "PyFuncStateless"))
"""Registered in every process, but they call back into the process that made the graph."""

NEWER_OPS = frozenset(("DecodeJxl", "_CopyFromGpuToHost", "_CopyFromHostToGpu"))
"""Ops of TensorFlow 2.21 that 2.20 lacks, by what the two wheels register."""


def check_ops(folder: str) -> None:
    """Raise ModelError if the stock server can't run the SavedModel in `folder`."""
    foreign = foreign_ops(folder)
    if foreign:
        raise ModelError(
            f"the model uses {', '.join(foreign)}, which stock TensorFlow Serving does not link; "
            "use TensorFlow and tensorflow-text ops only"
        )
    compiled = compiled_functions(folder)
    if compiled:
        raise ModelError(
            f"the model needs XLA to compile {', '.join(compiled)}, but stock TensorFlow Serving starts without XLA; "
            "export it without jit_compile=True"
        )


def foreign_ops(folder: str) -> list[str]:
    """Names of the ops that the stock server does not support, sorted; ModelError without a graph.

    Call it before tensorflow_text is imported: until then the registry has TensorFlow's ops only.
    """
    from tensorflow.python.framework import op_def_registry

    used = used_ops(folder)
    supported = {op for op in used - PYTHON_OPS - NEWER_OPS if op_def_registry.get(op) is not None}
    return sorted(used - supported - TEXT_OPS)


def used_ops(folder: str) -> set[str]:
    """Names of the ops of the graph and its functions; ModelError without a graph."""
    used: set[str] = set()
    for graph in _graphs(folder):
        used.update(node.op for node in graph.node)
        used.update(node.op for function in graph.library.function for node in function.node_def)
        used -= {function.signature.name for function in graph.library.function}
    return used


def compiled_functions(folder: str) -> list[str]:
    """Names of the functions traced with `jit_compile=True`, sorted; ModelError without a graph."""
    return sorted(
        function.signature.name
        for graph in _graphs(folder)
        for function in graph.library.function
        if function.attr["_XlaMustCompile"].b
    )


def _graphs(folder: str) -> Iterator[Any]:
    """GraphDef of each meta graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        with open(f"{folder}/saved_model.pb", "rb") as file:
            saved.ParseFromString(file.read())
    except Exception as error:  # missing, or not a SavedModel
        raise ModelError(f"{folder} holds no readable saved_model.pb ({error}); export the model again") from error
    yield from (meta.graph_def for meta in saved.meta_graphs)
