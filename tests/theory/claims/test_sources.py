"""Sources: every claim cites publications that are listed, and a citation becomes the full reference."""

import re

import pytest

from theory.claims import all_claims
from theory.claims.sources import SOURCES, cited, reference


def test_every_source_of_every_claim_is_listed():
    for claim in all_claims():
        for source in claim.sources:
            assert reference(source), claim.id


def test_a_key_has_the_first_author_and_the_year_of_its_publication():
    for key, source in SOURCES.items():
        first = re.split(r" et al\.| & |, | \d", key)[0]
        assert first in source.authors, key
        assert key.endswith(str(source.year)), key
        assert source.title, key
        assert source.venue, key
        assert not source.link or re.match(r"doi:10\.|arXiv:\d{4}\.\d{4,5}$|https://", source.link), key


def test_et_al_stands_for_more_than_two_authors_and_two_are_both_named():
    for key, source in SOURCES.items():
        if " et al." in key:
            assert source.authors.count(",") + source.authors.count("&") >= 2 or "et al." in source.authors, key
        elif " & " in key:
            assert " & " in source.authors, key
            assert re.sub(r" \d+$", "", key).split(" & ")[-1] in source.authors, key


def test_a_place_or_a_remark_is_kept():
    assert cited("Koh & Liang 2017, section 2.1") == (SOURCES["Koh & Liang 2017"], "section 2.1")
    assert cited("Fair 1978 (data)") == (SOURCES["Fair 1978"], "data")
    assert reference("Cook 1977") == str(SOURCES["Cook 1977"])
    assert reference("own derivation from T1") == "own derivation from T1"


@pytest.mark.parametrize(
    ("citation", "message"),
    [
        ("Koh & Liang 2018", r"'Koh & Liang 2018' is not in SOURCES .*: did you mean 'Koh & Liang 2017'"),
        ("Nobody 1066", r"'Nobody 1066' is not in SOURCES"),
        ("Cook", r"source 'Cook': expected 'Author Year', 'Author Year, place' or 'Author Year \(remark\)'"),
        ("Margulis 1974; Russo 1981", "expected 'Author Year'"),
    ],
)
def test_an_unknown_source_is_refused_with_the_keys_that_are_close(citation, message):
    with pytest.raises(ValueError, match=message):
        reference(citation)
