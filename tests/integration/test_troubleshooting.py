"""The troubleshooting page and the tests of its symptoms are about the same ones, in the same words."""

import pathlib
import re

import symptoms
# Each registers the symptoms that it makes.
import test_symptoms_of_captures  # noqa: F401
import test_symptoms_of_certificates  # noqa: F401
import test_symptoms_of_places  # noqa: F401
import test_symptoms_of_services  # noqa: F401

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/troubleshooting.md"


def test_page_and_tests():
    """Every heading of the page is a symptom that is made here, and the other way round."""
    headings = re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(symptoms.SYMPTOMS)
    assert len(set(headings)) == len(headings)
