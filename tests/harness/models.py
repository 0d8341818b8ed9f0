"""What the SDK's models say about an answer: the types of its fields, and which of them are empty."""

import inspect
import re

_SCALARS = {"str": str, "int": int, "float": (int, float), "bool": bool}


def empty_fields(model) -> set[str]:
    """Names (`data.items.item.tag`) of the fields that are empty in the answer, or in any row of a list of it.

    Fails on a value of another type than the model's, and on a list without rows, which would prove nothing."""
    return set(_walk(model, ""))


def _walk(model, path: str):
    for name, parameter in inspect.signature(type(model).__init__).parameters.items():
        if name != "self":
            yield from _check(getattr(model, name), parameter.annotation, f"{path}.{name}".lstrip("."))


def _check(value, annotation: str, path: str):
    if value is None:
        yield path
    elif element := re.fullmatch(r"List\[(.*)\]", annotation):
        assert isinstance(value, list) and value, f"{path}: {value!r} is no list with rows"
        for row in value:
            yield from _check(row, element[1], path)
    elif annotation == "Dict[str, str]":
        assert all(isinstance(text, str) for pair in value.items() for text in pair), f"{path}: {value!r}"
    elif annotation.startswith("main_models."):
        yield from _walk(value, path)
    else:
        is_bool = isinstance(value, bool)
        assert isinstance(value, _SCALARS[annotation]) and is_bool == (annotation == "bool"), (
            f"{path}: {value!r} is no {annotation}")
