"""A customer's JSON -> the fields of an applicant or a run, each looked at as the vendor's contract says."""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date

Json = dict[str, object]
NAME = re.compile(r'[^!#$%*=<>;{}"]*')
TAGS_MAX = 30
"""Tags of one run, by the contract."""
TAG_MAX = 128
"""Characters of a tag, by the contract."""
CUSTOMER_MAX = 256
"""Characters of a customer's own id, by the contract."""
ADDRESS = (
    *("flat_number", "building_number", "building_name", "street", "sub_street", "town", "postcode", "country"),
    *("state", "line1", "line2", "line3"),
)
KINDS_OF_NUMBERS = frozenset(
    {
        *("ssn", "social_insurance", "tax_id", "identity_card", "driving_license", "driving_licence"),
        *("share_code", "voter_id", "passport", "other"),
    }
)


class Invalid(ValueError):
    """Fields with what is wrong with each."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = {name: [why] for name, why in fields.items()}


def applicant(told: object) -> Json:
    """The fields of a new applicant that are kept; others are passed over, as the vendor does."""
    return _checked(
        told,
        required={"first_name": _name, "last_name": _name},
        optional={
            "dob": _date,
            "email": _text,
            "phone_number": _text,
            "address": _address,
            "location": _object,
            "id_numbers": _numbers,
        },
    )


def run(told: object) -> Json:
    """The fields of a new run that are kept."""
    return _checked(
        told,
        required={"applicant_id": _uuid, "workflow_id": _uuid},
        optional={"tags": _tags, "customer_user_id": _customer, "link": _object},
    )


def is_uuid(text: str) -> bool:
    """Whether it could be an id of ours."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


Check = Callable[[object], object]


def _checked(told: object, *, required: Mapping[str, Check], optional: Mapping[str, Check]) -> Json:
    if not isinstance(told, dict):
        raise Invalid({"body": "must be an object"})
    kept: Json = {}
    wrong = {name: "can't be blank" for name in required if told.get(name) is None or told[name] == ""}
    for name, check in {**required, **optional}.items():
        if name in wrong or name not in told or (name in optional and told[name] is None and name != "tags"):
            continue
        try:
            kept[name] = check(told[name])
        except (ValueError, TypeError) as error:
            wrong[name] = str(error)
    if wrong:
        raise Invalid(wrong)
    return kept


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def _name(value: object) -> str:
    if not NAME.fullmatch(_text(value)):
        raise ValueError("has invalid characters")
    return _text(value)


def _date(value: object) -> str:
    return date.fromisoformat(_text(value)).isoformat()


def _uuid(value: object) -> str:
    if not is_uuid(_text(value)):
        raise ValueError("must be a UUID")
    return _text(value)


def _customer(value: object) -> str:
    if len(_text(value)) > CUSTOMER_MAX:
        raise ValueError(f"has more than {CUSTOMER_MAX} characters")
    return _text(value)


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise TypeError("must be an object")
    return value


def _address(value: object) -> Json:
    told = _object(value)
    missing = [name for name in ("country", "postcode") if not told.get(name)]
    if missing:
        raise ValueError(f"{' and '.join(missing)} can't be blank")
    if not re.fullmatch("[A-Z]{3}", _text(told["country"])):
        raise ValueError("country must be a code of three letters")
    return {name: _text(told[name]) for name in ADDRESS if told.get(name) is not None}


def _numbers(value: object) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("must be an array")
    numbers = [_object(number) for number in value]
    if any(
        number.get("type") not in KINDS_OF_NUMBERS or not isinstance(number.get("value"), str) for number in numbers
    ):
        raise ValueError("must have a type of the list and a value")
    return numbers


def _tags(value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        raise ValueError(f"must be an array of at most {TAGS_MAX}")
    if not all(isinstance(tag, str) and 0 < len(tag) <= TAG_MAX for tag in value):
        raise ValueError(f"must be strings of 1 to {TAG_MAX} characters")
    return value
