"""Jobs as JSON: `process_request`, and the JSON Schema of what it takes.

::

    {"images": {"a.jpg": null, "b.jpg": [50, 50, 200, 200]},
     "filters": {"hdr": {"threshold": 0.6}, "pattern": {}},
     "return_predictions": false, "combine_results": true, "sort_filters": true}
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qualipy_core import parameters, plugins
from qualipy_core.errors import (
    ModelError,
    ParameterTypeError,
    ParameterValueError,
    PluginError,
    RequestError,
    ROITypeError,
    ROIValueError,
    UnknownFilterError,
)
from qualipy_core.pipeline import process
from qualipy_core.roi import ROI

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from qualipy_core.criterion import Criterion
    from qualipy_core.limits import Limits

ROIList = Annotated[list[int], Field(min_length=4, max_length=4)]


class Request(BaseModel):
    """A job: which images, which filters, and what to return.

    Attributes
    ----------
    images : dict
        ROI or ``None`` by image path.
    filters : dict
        Parameters by filter name.
    return_predictions, combine_results, sort_filters : bool
        As in `process`.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    images: dict[str, ROIList | None]
    filters: dict[str, dict[str, Any]]
    return_predictions: bool = False
    combine_results: bool = True
    sort_filters: bool = True

    @classmethod
    def parse(cls, request: str | bytes | Mapping[str, Any]) -> Self:
        """Read and validate a request.

        Parameters
        ----------
        request : str, bytes or mapping
            JSON, or what it decodes to.

        Raises
        ------
        RequestError
            (ValueError) It is malformed; `place` and the message say where.
        """
        if not isinstance(request, str | bytes | bytearray):
            request = _encoded(request)
        document = _decoded(request)
        if not isinstance(document, Mapping):
            raise RequestError(
                f"A request is a JSON object with 'images' and 'filters', not {_kind(document)}.",
                place="",
            )
        try:
            return cls.model_validate(dict(document))
        except ValidationError as error:
            raise _translated(error.errors(include_url=False)[0], cls) from None

    def make_filters(self, *, trusted: bool = False) -> list[Criterion]:
        """Make the filters that the request names.

        Parameters
        ----------
        trusted : bool
            Let it set parameters that name a file or program on this machine.

        Raises
        ------
        RequestError
            (ValueError) A filter is unknown or broken, or a parameter is unknown, ill-typed or
            not for strangers to set.
        """
        return [_make(name, values, trusted) for name, values in self.filters.items()]

    def parse_rois(self) -> list[ROI | None]:
        """Return the ROIs of the images, in their order.

        Raises
        ------
        RequestError
            (ValueError) One is empty or begins outside its image.
        """
        rois = []
        for image, value in self.images.items():
            try:
                rois.append(None if value is None else ROI.parse(value, image))
            except (ROITypeError, ROIValueError) as error:
                place = f"images.{image}"
                raise RequestError(f"{place}: {error}", place=place) from error
        return rois


def process_request(
    request: str | bytes | Mapping[str, Any],
    *,
    trusted: bool = False,
    jobs: int = 1,
    image_roots: Iterable[str | os.PathLike[str]] | None = None,
    limits: Limits | None = None,
) -> dict[Any, Any] | bool:
    """Run a job that came as JSON.

    Parameters
    ----------
    request : str, bytes or mapping
        JSON, or what it decodes to; `request_schema` describes it.
    trusted : bool
        Let the request set parameters that name a file or program on this machine, such as
        ``svm_file`` and ``tesseract_path``. Refused by default: requests come over networks.
    jobs : int
        As in `qualipy_core.scan`.
    image_roots : iterable of (str or path), optional
        As in `qualipy_core.scan`: what the request may name as images.
    limits : Limits, optional
        As in `qualipy_core.scan`: what each of its images may cost.

    Returns
    -------
    dict or bool
        As from `qualipy_core.process`.

    Raises
    ------
    RequestError
        (ValueError) The request is malformed; the message says where and what would be right.
    QualipyError
        What is wrong with the first bad image, as from `qualipy_core.process`.
    """
    job = Request.parse(request)
    return process(
        list(job.images),
        job.make_filters(trusted=trusted),
        job.parse_rois(),
        job.return_predictions,
        job.combine_results,
        job.sort_filters,
        jobs=jobs,
        image_roots=image_roots,
        limits=limits,
    )


def request_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a request, with every installed filter in it.

    Returns
    -------
    dict
        Filters that cannot be loaded are left out.
    """
    schema = Request.model_json_schema()
    known = {}
    for name in plugins.registry().names():
        try:
            cls = plugins.registry().get(name)
        except PluginError:
            continue
        known[name] = parameters.schema(cls).model_json_schema()
        summary = (cls.__doc__ or "").strip().partition("\n")[0]
        known[name]["description"] = summary
    filters = schema["properties"]["filters"]
    filters.pop("additionalProperties", None)
    filters.update(properties=known, additionalProperties=False)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _encoded(document: object) -> str:
    """A mapping as JSON: whatever a request could not hold is refused in one place."""
    try:
        return json.dumps(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"The request is not JSON: {error}.", place="") from None


def _decoded(text: str | bytes | bytearray) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RequestError:
        raise
    except RecursionError:
        raise RequestError("The request is nested too deeply.", place="") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise RequestError(f"The request is not valid JSON: {error}.", place="") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RequestError(f"The request has the key {twice!r} twice.", place=twice)
    return values


def _refuse_constant(constant: str) -> None:
    raise RequestError(f"The request holds {constant}, which is not JSON.", place="")


def _make(name: str, values: dict[str, Any], trusted: bool) -> Criterion:
    place = f"filters.{name}"
    try:
        cls = plugins.registry().get(name)
        if not trusted:
            for parameter in parameters.parameters_of(cls):
                if parameter.local and values.get(parameter.name) is not None:
                    place = f"filters.{name}.{parameter.name}"
                    raise RequestError(
                        f"{place} names a file or program on this machine, which a request may "
                        "not do unless it is trusted: process_request(..., trusted=True).",
                        place=place,
                    )
        return parameters.from_json(cls, values)
    except (ParameterTypeError, ParameterValueError) as error:
        place = f"filters.{name}.{error.parameter}" if error.parameter else place
        raise RequestError(f"{place}: {error}", place=place) from error
    except (UnknownFilterError, PluginError, ModelError) as error:
        raise RequestError(f"{place}: {error}", place=place) from error


def _translated(error: ErrorDetails, cls: type[BaseModel]) -> RequestError:
    parts = [str(part) for part in error["loc"]]
    place = ".".join(parts)
    if error["type"] == "missing":
        return RequestError(
            f"The request has no {place!r}: it needs 'images' and 'filters'.", place=place
        )
    if error["type"] == "extra_forbidden":
        known = list(cls.model_fields)
        return RequestError(
            f"The request has an unknown key {place!r}. It may have: {', '.join(known)}."
            f"{parameters.did_you_mean(place, known)}",
            place=place,
        )
    if error["type"] == "string_unicode":  # of a key, it may have no place at all
        where = place or "The request"
        return RequestError(
            f"{where} holds {reprlib.repr(error['input'])}, half a character: it is no text.",
            place=place,
        )
    if parts[:1] == ["images"] and len(parts) > 1:
        return RequestError(
            f"{place}: a ROI is null or four integers [x, y, width, height], "
            f"not {reprlib.repr(error['input'])}.",
            place=place,
        )
    reason = error["msg"].removeprefix("Input should be ")
    given = reprlib.repr(error["input"])
    return RequestError(f"{place} should be {reason}, not {given}.", place=place)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")
