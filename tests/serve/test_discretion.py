"""The service's log quotes no personal value, whatever fails on one."""

import logging

import pytest

from sixfold._core.errors import LogError
from sixfold.serve.discretion import Discreet


def said(record: logging.LogRecord) -> str:
    assert Discreet().filter(record)
    return logging.Formatter().format(record)


def test_a_traceback_keeps_its_places_and_loses_its_words() -> None:
    people = {"known": 1}
    try:
        people["jane@example.org"]
    except KeyError as error:
        info = (type(error), error, error.__traceback__)
    text = said(logging.LogRecord("sixfold", logging.ERROR, "", 1, "stage %s failed", ("score",), info))
    assert "stage score failed" in text and "KeyError: ***" in text and "test_discretion.py" in text
    assert "example.org'" not in text.replace('people["jane@example.org"]', "")


def test_what_quotes_no_event_is_said_as_it_is() -> None:
    args = (LogError("log.db is locked"), 7)
    text = said(logging.LogRecord("sixfold", logging.ERROR, "", 1, "an append failed: %s, %d times", args, None))
    assert text == "an append failed: log.db is locked, 7 times"


def test_values_in_other_errors_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.Logger("sixfold.test")
    handler = logging.StreamHandler()
    handler.addFilter(Discreet())
    log.addHandler(handler)
    log.error("refused: %s", ValueError("5550123 is no email"))
    assert capsys.readouterr().err == "refused: ValueError: ***\n"
