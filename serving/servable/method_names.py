"""Check of a signature's method name, the API that it was exported for, against the call.

The codes and texts are TensorFlow Serving's with --enable_signature_method_name_check
(predict_util.cc, classifier.cc, regressor.cc). Without that flag nothing is checked: in a TF2
export the name is always that of predict.
"""

from __future__ import annotations

from serving.request.status import Code, StatusError, invalid
from serving.wire.protos import SignatureDef

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
_KINDS = {CLASSIFY: "classification", REGRESS: "regression"}


def check_predict(definition: SignatureDef) -> None:
    """Raise StatusError where Predict may not run the signature; it may run the other APIs' too."""
    if definition.method_name not in (PREDICT, CLASSIFY, REGRESS):
        raise StatusError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{PREDICT}, {CLASSIFY}, {REGRESS}}}. "
            f"Was: {definition.method_name}",
        )


def check_method(definition: SignatureDef, method: str) -> None:
    """Raise StatusError unless the signature's method name is `method`, CLASSIFY or REGRESS."""
    if definition.method_name != method:
        raise invalid(f"Expected {_KINDS[method]} signature method_name to be {method}. Was: {definition.method_name}")
