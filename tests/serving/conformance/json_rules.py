"""Predict over REST: JSON to tensors, tensors to JSON, and every refusal."""

from __future__ import annotations

from typing import Any

from tests.serving.conformance.row import Like, Rest, Row

PATH = "/v1/models/toy:predict"
HUGE = "1" + "0" * 400


def posted(body: Any, **expected: Any) -> Rest:
    return Rest(path=PATH, body=body, **expected)


def by(signature: str, **body: Any) -> dict[str, Any]:
    return {"signature_name": signature, **body}


def outputs(body: Any, expected: Any) -> Rest:
    return posted(body, answer={"outputs": expected})


def predictions(body: Any, expected: Any) -> Rest:
    return posted(body, answer={"predictions": expected})


def refused(body: Any, error: Any, status: int = 400) -> Rest:
    return posted(body, status=status, error=error)


def number(value: str) -> str:
    """A body with this JSON text as the input of the signature of one float."""
    return f'{{"signature_name": "number", "inputs": [{value}]}}'


def typed(**values: Any) -> dict[str, Any]:
    """Columns of every type, with `values` in place of the defaults."""
    row = {"flag": True, "tiny": 1, "short": 1, "small": 1, "big": 1, "byte": 1, "count": 1, "hash": 1, "exact": 1}
    return by("types", inputs={name: [value] for name, value in {**row, **values}.items()})


ONES = {"flag": [True], "tiny": [1], "short": [1], "small": [1], "big": [1]} | {
    "byte": [1],
    "count": [1],
    "hash": [1],
    "exact": [1.0],
}

ANSWERS: dict[str, Row] = {
    "rows of objects": predictions(
        {"instances": [{"x": 1, "y": 10}, {"y": 20, "x": 2}]},
        # 2 * 1 + 10, 1 - 10; 2 * 2 + 20, 2 - 20
        [{"sum": 12.0, "difference": -9.0}, {"sum": 24.0, "difference": -18.0}],
    ),
    "columns": outputs({"inputs": {"x": [1, 2], "y": [10, 20]}}, {"sum": [12.0, 24.0], "difference": [-9.0, -18.0]}),
    "plain rows for one input, plain predictions of one output": predictions(
        by("number", instances=[1, 2.5]), [1.0, 2.5]
    ),
    "rows of lists": predictions(by("number", instances=[[1, 2], [3, 4]]), [[1.0, 2.0], [3.0, 4.0]]),
    "objects for one input": predictions(by("number", instances=[{"x": 1}, {"x": 2}]), [1.0, 2.0]),
    "a plain column for one input": outputs(by("number", inputs=[1, 2]), [1.0, 2.0]),
    "a named column for one input": outputs(by("number", inputs={"x": [1, 2]}), [1.0, 2.0]),
    "a number is a scalar": outputs(by("number", inputs=5), 5.0),
    "a scalar output": outputs(by("total", inputs=[1, 2]), 3.0),
    "a scalar string": outputs(by("joined", inputs=["a", "b"]), "ab"),
    "columns may be of unequal length": outputs(
        by("uneven", inputs=[1, 2]), {"once": [1.0, 2.0], "twice": [1.0, 2.0, 1.0, 2.0]}
    ),
    "an empty column": outputs(by("number", inputs=[]), []),
    "an empty column of a type that JSON lacks": outputs(by("halves", inputs=[]), []),
    "columns of unknown names are ignored": outputs(by("number", inputs={"x": [1], "z": ["?"]}), [1.0]),
    "unknown keys are ignored": outputs({"id": 7, **by("number", inputs=[1])}, [1.0]),
    "an empty signature_name is the default": outputs(
        by("", inputs={"x": [1], "y": [10]}), {"sum": [12.0], "difference": [-9.0]}
    ),
    "texts": outputs(by("mirror", inputs=["a", "ü", "茶", "\x00"]), ["a", "ü", "茶", "\x00"]),
    "escapes": outputs('{"signature_name": "mirror", "inputs": ["\\u8336\\ud83d\\ude00\\n\\/"]}', ["茶😀\n/"]),
    "base64 in a column": outputs(by("mirror", inputs=[{"b64": "dGVl"}, "tee"]), ["tee", "tee"]),
    "base64 as the column": outputs(by("mirror", inputs={"b64": "dGVl"}), "tee"),
    "base64 in rows": predictions(by("mirror", instances=[{"b64": "dGVl"}, "tee"]), ["tee", "tee"]),
    "base64 in rows of objects": predictions(by("mirror", instances=[{"x": {"b64": "dGVl"}}]), ["tee"]),
    "base64 without its padding and with spaces": outputs(by("mirror", inputs=[{"b64": "dG Vl\nIA"}]), ["tee "]),
    "an output whose name ends in _bytes is base64": predictions(
        by("lookup", instances=["TEE"]), [{"line": -1, "normal": "tee", "normal_bytes": {"b64": "dGVl"}}]
    ),
    "each type": outputs(typed(), ONES),
    "integers keep all bits": outputs(
        typed(big=-(2**63), hash=2**64 - 1, count=2**32 - 1),
        ONES | {"big": [-(2**63)], "hash": [2**64 - 1], "count": [2**32 - 1]},
    ),
    "a large integer beside a small one too": outputs(typed(hash=[1, 2**63 + 1]), ONES | {"hash": [[1, 2**63 + 1]]}),
    "narrow integers wrap around": outputs(typed(tiny=300, byte=-1), ONES | {"tiny": [44], "byte": [255]}),
    "a decimal keeps its digits": outputs(typed(exact=0.1), ONES | {"exact": [0.1]}),
    "a float is written in its shortest digits": posted(
        number("0.1"), raw=Like(r'\{\s*"outputs": ?\[\s*0.1\s*\]\s*\}')
    ),
    "a whole float is written as a decimal": posted(number("1"), raw=Like(r'\{\s*"outputs": ?\[\s*1.0\s*\]\s*\}')),
    "NaN and infinities are numbers": posted(
        number("NaN, Infinity, -Infinity, Inf"),
        raw=Like(r'\{\s*"outputs": ?\[\s*NaN,\s*Infinity,\s*-Infinity,\s*Infinity\s*\]\s*\}'),
    ),
    "an integer that a float can not hold is rounded": outputs(number("16777217"), [16777216.0]),
    "a number beyond a float is infinite": posted(
        number("1e300"), raw=Like(r'\{\s*"outputs": ?\[\s*Infinity\s*\]\s*\}')
    ),
    "an integer beyond 64 bits is a decimal": outputs(typed(exact=10**20), ONES | {"exact": [1e20]}),
    "text after the object is ignored": outputs(f"{number('1')} and more", [1.0]),
    "white space before the object": outputs(f" \r\n\t{number('1')}", [1.0]),
    "a byte order mark before the object": outputs(b"\xef\xbb\xbf" + number("1").encode(), [1.0]),
    "text that is not UTF-8 is accepted": posted(
        b'{"signature_name": "mirror", "inputs": ["\xff"]}', raw=Like(r'.*"\ufffd".*')
    ),
}

REFUSALS: dict[str, Row] = {
    "nothing": refused("", "JSON Parse error: The document is empty"),
    "white space": refused("  ", "JSON Parse error: The document is empty. at offset: 2"),
    "no JSON": refused("instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
    "no value": refused('{"inputs": }', "JSON Parse error: Invalid value. at offset: 11"),
    "half a word": refused('{"inputs": tru}', "JSON Parse error: Invalid value. at offset: 14"),
    "no name": refused("{inputs: 1}", "JSON Parse error: Missing a name for object member. at offset: 1"),
    "a comma at the end": refused(
        '{"inputs": 1,}', "JSON Parse error: Missing a name for object member. at offset: 13"
    ),
    "no colon": refused(
        '{"inputs" 1}', "JSON Parse error: Missing a colon after a name of object member. at offset: 10"
    ),
    "no comma between members": refused(
        '{"a": 1 "b": 2}', Like(r"JSON Parse error: Missing a comma or '?}'? after an object member. at offset: 8")
    ),
    "no comma between elements": refused(
        '{"a": [1 2]}', Like(r"JSON Parse error: Missing a comma or '?]'? after an array element. at offset: 9")
    ),
    "offsets count bytes": refused('{"茶": }', "JSON Parse error: Invalid value. at offset: 8"),
    "offsets count the byte order mark": refused(
        b"\xef\xbb\xbf{]", "JSON Parse error: Missing a name for object member. at offset: 4"
    ),
    "the body ends in a list": refused(
        '{"a": [1', Like(r"JSON Parse error: Missing a comma or '?]'? after an array element. at offset: 8")
    ),
    "the body ends in a text": refused(
        '{"a": "b', "JSON Parse error: Missing a closing quotation mark in string. at offset: 8"
    ),
    "an unknown escape": refused('{"a": "\\q"}', "JSON Parse error: Invalid escape character in string. at offset: 7"),
    "a control character": refused('{"a": "\n"}', "JSON Parse error: Invalid escape character in string. at offset: 7"),
    "a broken escape": refused(
        '{"a": "\\u12x4"}', "JSON Parse error: Incorrect hex digit after \\u escape in string. at offset: 7"
    ),
    "half a surrogate pair": refused(
        '{"a": "\\ud800"}', "JSON Parse error: The surrogate pair in string is invalid. at offset: 7"
    ),
    "a number of 401 digits": refused(
        number(HUGE), "JSON Parse error: Number too big to be stored in double. at offset: 40"
    ),
    "a number without a fraction": refused('{"a": 1.}', "JSON Parse error: Miss fraction part in number. at offset: 8"),
    "a number without an exponent": refused('{"a": 1e}', "JSON Parse error: Miss exponent in number. at offset: 8"),
    "a list for an object": refused("[1, [2]]", "JSON Value: [1, [2]] Is not object"),
    "a text for an object": refused('"a"', 'JSON Value: "a" Is not object'),
    "signature_name a number": refused(
        {"signature_name": 1},
        'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "unknown signature": refused(by("nope", inputs=[1]), 'Serving signature name: "nope" not found in signature def'),
    "a signature that takes nothing": refused(
        by("constant", inputs=[1]), "Failed to get input map for signature: constant"
    ),
    "neither rows nor columns": refused({}, "Missing 'inputs' or 'instances' key"),
    "rows and columns": refused(
        {"inputs": [1], "instances": [{"x": []}]},
        'JSON Value: {\n    "inputs": [1],\n    "instances": [{\n            "x": []\n        }]\n} '
        "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
    ),
    "rows that are not a list": refused(
        {"instances": 1}, "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"
    ),
    "no rows": refused({"instances": []}, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
    "the value in an error is truncated": refused(
        {"instances": "a" * 300, "z": 1},
        f'JSON Value: {{\n    "instances": "{"a" * 300}" Expecting \'instances\' to be an list/array',
    ),
    "plain rows for two inputs": refused(
        {"instances": [1, 2]},
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "a plain column for two inputs": refused(
        {"inputs": [1, 2]},
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "unknown name in a row": refused(
        {"instances": [{"z": 1}]},
        "Failed to process element: 0 key: z of 'instances' list. "
        "Error: INVALID_ARGUMENT: JSON object: does not have named input: z",
    ),
    "missing name in a row": refused(
        {"instances": [{"x": 1}]},
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"x\": 1\n} keys must be equal to: x,y",
    ),
    "missing name in a later row": refused(
        {"instances": [{"x": 1, "y": 2}, {"y": 2}]},
        "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"y\": 2\n} keys must be equal to: x,y",
    ),
    "a list among objects": refused(
        {"instances": [{"x": 1, "y": 2}, 3]}, "Expecting object but got list at item 1 of input list"
    ),
    "an object among lists": refused(
        by("number", instances=[1, {"x": 2}]), "Expecting value/list but got object at item 1 of input list"
    ),
    "rows of different sizes": refused(
        {"instances": [{"x": 1, "y": 2}, {"x": [1, 2], "y": 2}]},
        "Failed to process element: 1 key: x of 'instances' list. "
        "Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 2",
    ),
    "rows of different shapes": refused(
        by("number", instances=[1, [1]]),
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but got: [1]",
    ),
    "a text among the numbers of a row": refused(
        by("number", instances=["1"]),
        "Failed to process element: 0 of 'instances' list. "
        'Error: INVALID_ARGUMENT: JSON Value: "1" Type: String is not of expected type: float',
    ),
    "missing column": refused({"inputs": {"x": [1]}}, "Missing named input: y in 'inputs' object."),
    "a text for a number": refused(
        by("number", inputs=["1"]), 'JSON Value: "1" Type: String is not of expected type: float'
    ),
    "true for a number": refused(
        by("number", inputs=[True]), "JSON Value: true Type: True is not of expected type: float"
    ),
    "null for a number": refused(
        by("number", inputs=[None]), "JSON Value: null Type: Null is not of expected type: float"
    ),
    "base64 for a number": refused(
        by("number", inputs=[{"b64": "AA=="}]),
        'JSON Value: {\n    "b64": "AA=="\n} Type: Object is not of expected type: float',
    ),
    "a number for a text": refused(
        by("mirror", inputs=[1]), "JSON Value: 1 Type: Number is not of expected type: string"
    ),
    "a number for true": refused(typed(flag=1), "JSON Value: 1 Type: Number is not of expected type: bool"),
    "a decimal for an int32": refused(typed(small=1.5), "JSON Value: 1.5 Type: Number is not of expected type: int32"),
    "a whole decimal for an int64": refused(
        typed(big=1.0), "JSON Value: 1.0 Type: Number is not of expected type: int64"
    ),
    "an int64 for an int32": refused(
        typed(small=2**31), "JSON Value: 2147483648 Type: Number is not of expected type: int32"
    ),
    "an int64 for an int8": refused(
        typed(tiny=2**31), "JSON Value: 2147483648 Type: Number is not of expected type: int8"
    ),
    "a uint64 for an int64": refused(
        typed(big=2**63), "JSON Value: 9223372036854775808 Type: Number is not of expected type: int64"
    ),
    "a negative number for a uint32": refused(
        typed(count=-1), "JSON Value: -1 Type: Number is not of expected type: uint32"
    ),
    "a negative number for a uint64": refused(
        typed(hash=-1), "JSON Value: -1 Type: Number is not of expected type: uint64"
    ),
    "NaN for an int64": refused(
        '{"signature_name": "slow", "inputs": [NaN]}', "JSON Value:  Type: Number is not of expected type: int64"
    ),
    "a ragged list": refused(
        by("number", inputs=[[1, 2, 3], [1, 2]]), "Encountered list at unexpected size: 2 at level: 1 expected size: 3"
    ),
    "a list among numbers": refused(
        by("number", inputs=[1, [2]]), "Encountered list at unexpected level: 1 expected < 1"
    ),
    "a number among lists": refused(
        by("number", inputs=[[1], 2]),
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    "not base64": refused(by("mirror", inputs=[{"b64": "!"}]), "Unable to base64 decode"),
    "an object for a text": refused(
        by("mirror", inputs=[{"b65": "AA=="}]),
        'JSON Value: {\n    "b65": "AA=="\n} not formatted correctly for base64 data',
    ),
    "base64 that is not a string": refused(
        by("mirror", inputs=[{"b64": 1}]), 'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data'
    ),
    "a type that JSON lacks": refused(
        by("halves", inputs=[1]), "Conversion of JSON Value: 1 to type: half", status=501
    ),
    "an output of a type that JSON lacks": refused(
        by("to_half", inputs=[1]), "Failed to write JSON value for tensor type: half"
    ),
    "rows of an output without a batch": refused(
        by("total", instances=[1]), "Tensor name: total has no shape information "
    ),
    "rows of outputs of different batches": refused(
        by("uneven", instances=[1, 2]),
        Like(r"Tensor name: (once has inconsistent batch size: 2 expecting: 4|twice .* size: 4 expecting: 2)"),
    ),
    "an error of the runtime": refused(
        {"inputs": {"x": [1, 2], "y": [1, 2, 3]}}, Like(r"Incompatible shapes: \[2\] vs. \[3\].*")
    ),
    "a request that takes too long": refused(by("slow", inputs=[10**9]), Like(".*"), status=504),
}

ROWS = ANSWERS | {f"refused: {name}": row for name, row in REFUSALS.items()}
