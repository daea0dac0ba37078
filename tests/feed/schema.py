"""unit.schema.json and geojson-pydantic, as a consumer would hold them against us."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path

import jsonschema
from geojson_pydantic import Feature

SHARED = Path(os.environ.get("LAPEL_SHARED", Path(__file__).parents[3] / "shared"))


@lru_cache(maxsize=1)
def _validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((SHARED / "examples/feed/unit.schema.json").read_text())
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, format_checker=checker)


def check_feature(feature: dict) -> None:
    """Raise where a feature is not what was promised."""
    _validator().validate(feature)
    Feature.model_validate(feature)
