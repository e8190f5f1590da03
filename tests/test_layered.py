"""Several mappings read as one, share what they are made of, and say what differs."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_refresh.layered import Layer, LayeredMapping, differing_names, layered

Values = dict[str, int]

layers_of_three = st.tuples(
    *[st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)).map(lambda it: dict(sorted(it.items())))] * 3
)
left_out = st.tuples(*[st.frozensets(st.sampled_from("abcdef"))] * 3)


def plainly(layers: tuple[Values, ...], without: tuple[frozenset[str], ...]) -> Values:
    """The same by the simplest means."""
    found: Values = {}
    for layer, names in reversed(list(zip(layers, without, strict=True))):
        found.update({name: value for name, value in layer.items() if name not in names})
    return dict(sorted(found.items()))


@given(layers_of_three, left_out)
def test_it_reads_like_the_dictionary_that_its_layers_make(
    layers: tuple[Values, ...], without: tuple[frozenset[str], ...]
) -> None:
    mapping, plain = LayeredMapping(layers, without), plainly(layers, without)
    for _ in range(2):  # the second time from what was kept
        assert mapping == plain
        assert (len(mapping), repr(mapping), bool(mapping)) == (len(plain), repr(plain), bool(plain))
        assert (list(mapping), list(mapping.keys())) == (list(plain), list(plain))
        assert (list(mapping.values()), list(mapping.items())) == (list(plain.values()), list(plain.items()))
        assert list(reversed(list(mapping.items()))) == list(reversed(plain.items()))
    for name in "abcdefx":
        assert (mapping.get(name), name in mapping) == (plain.get(name), name in plain)
    assert list(mapping.in_order().items()) == list(plain.items())


@given(layers_of_three, left_out, layers_of_three, left_out)
def test_what_differs_is_what_differs_between_the_dictionaries(
    layers: tuple[Values, ...],
    without: tuple[frozenset[str], ...],
    others: tuple[Values, ...],
    without_others: tuple[frozenset[str], ...],
) -> None:
    before, after = plainly(layers, without), plainly(others, without_others)
    expected = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    assert differing_names(LayeredMapping(layers, without), LayeredMapping(others, without_others)) == expected
    assert differing_names(before, LayeredMapping(others, without_others)) == expected


def test_one_value_under_another_name_differs() -> None:
    value = object()
    assert differing_names({"a": value}, {"b": value}) == ["a", "b"]


def test_layers_that_are_the_same_object_are_not_looked_at() -> None:
    class Untouchable(dict[str, int]):
        def values(self) -> None:  # type: ignore[override]  # whoever looks must fail
            raise AssertionError("it was looked at")

        keys = __iter__ = values  # type: ignore[assignment]

    shared = Untouchable(a=1)
    before, after = LayeredMapping(({"b": 1}, shared)), LayeredMapping(({"b": 2}, shared))
    assert differing_names(before, after) == ["b"]


def test_a_layer_says_what_differs_from_those_it_was_made_from_as_long_as_they_live() -> None:
    first = Layer({"a": 1, "b": 1, "c": 1})
    second = Layer({**first, "a": 2}, first, ["a"])
    third = Layer({**second, "c": 2}, second, ["c"])
    assert third.names_since(third) == set()
    assert third.names_since(second) == {"c"}
    assert third.names_since(first) == {"a", "c"}
    assert first.names_since(third) is None
    assert third.names_since({"a": 1}) is None
    before, after = LayeredMapping((first,)), LayeredMapping((third,))
    assert differing_names(before, after) == differing_names(after, before) == ["a", "c"]
    del second
    assert third.names_since(first) is None
    assert differing_names(before, after) == ["a", "c"]


def test_where_a_layer_knows_what_differs_nobody_looks_for_it() -> None:
    first = Layer({"a": 1, "b": 1})
    told_nothing = Layer({"a": 2, "b": 1}, first, [])
    assert differing_names(LayeredMapping((first,)), LayeredMapping((told_nothing,))) == []


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="b"):
        LayeredMapping(({"a": 1},))["b"]


def test_a_superseded_one_keeps_no_order_and_hands_it_over_where_the_names_are_the_same() -> None:
    first, second, third = ({"a": 1}, {"b": 1}), ({"a": 2}, {"b": 1}), ({"a": 2, "c": 1}, {"b": 1})
    mappings = [LayeredMapping(layers) for layers in (first, second, third)]
    assert list(mappings[0]) == ["a", "b"]
    mappings[0].supersede(mappings[1], same_names=True)
    assert (mappings[0]._names, mappings[1]._names) == (None, ("a", "b"))
    mappings[1].supersede(mappings[2], same_names=False)
    assert [list(mapping) for mapping in mappings] == [["a", "b"], ["a", "b"], ["a", "b", "c"]]
    assert [mapping._names for mapping in mappings] == [None, None, ("a", "b", "c")]


def test_its_length_is_known_while_another_thread_supersedes_it() -> None:
    class Superseded(LayeredMapping[int]):
        """Another thread takes its order away each time somebody has looked whether there is one."""

        def __getattribute__(self, name: str) -> object:
            found = super().__getattribute__(name)
            if name == "_names":
                self._names = None
            return found

    mapping = Superseded(({"a": 1}, {"b": 2}))
    mapping._names = ("a", "b")
    assert len(mapping) == 2


def test_copies_of_it_are_the_same_object_since_nobody_can_change_it() -> None:
    mapping = LayeredMapping(({"a": 1}, {"b": 2}))
    assert copy.copy(mapping) is mapping
    assert copy.deepcopy(mapping) is mapping
    assert layered(mapping) is mapping


def test_it_is_pickled_with_what_it_holds_and_no_more() -> None:
    mapping = LayeredMapping(({"a": 1}, {"b": 2, "c": 3}), (frozenset(), frozenset("c")))
    again = pickle.loads(pickle.dumps(mapping))
    assert isinstance(again, LayeredMapping)
    assert again == {"a": 1, "b": 2}
