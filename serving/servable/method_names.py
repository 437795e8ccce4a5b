"""Whether a signature was exported for the call that asks for it, by its method name.

The checks, their codes and texts are TensorFlow Serving's with --enable_signature_method_name_check (predict_util.cc,
classifier.cc, regressor.cc). Without that flag nothing looks: in a TF2 export the name is always that of predict.
"""

from __future__ import annotations

from serving.request.status import Code, StatusError, invalid
from serving.wire.protos import SignatureDef

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
_KINDS = {CLASSIFY: "classification", REGRESS: "regression"}


def check_predicts(definition: SignatureDef) -> None:
    """StatusError where Predict may not run the signature; it may those of the other calls."""
    if definition.method_name not in (PREDICT, CLASSIFY, REGRESS):
        raise StatusError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{PREDICT}, {CLASSIFY}, {REGRESS}}}. "
            f"Was: {definition.method_name}",
        )


def check(definition: SignatureDef, wanted: str) -> None:
    """StatusError where the signature's method is not `wanted`, which is CLASSIFY or REGRESS."""
    if definition.method_name != wanted:
        raise invalid(f"Expected {_KINDS[wanted]} signature method_name to be {wanted}. Was: {definition.method_name}")
