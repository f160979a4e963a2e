"""Request fields from the command line."""

import pytest

from sixfold._core.errors import InputError
from sixfold.run.inspect import parse_context
from sixfold.system import load_system

FRAUD = load_system("fraud")


def test_every_kind_of_field_is_read() -> None:
    said = parse_context(FRAUD, ["terminal=3", "amount=12.5", "night=no", "weekend=TRUE"])
    assert said == {"terminal": 3, "amount": 12.5, "night": False, "weekend": True}


@pytest.mark.parametrize(
    ("pair", "words"),
    [("night=maybe", "is not yes or no"), ("amount=much", "is not a number"), ("mood=1", "the fields are: terminal")],
)
def test_what_is_no_value_of_a_field_is_refused(pair: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_context(FRAUD, [pair])
    assert words in f"{error.value} {error.value.hint}"
