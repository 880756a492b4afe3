"""Strings of tokens: from tokenizers, lists, mappings and files; as a person reads them; hostile ones."""

from __future__ import annotations

import json

import pytest

from weightwidget.sources import tokenizers as reading
from weightwidget.sources.base import WeightFileError
from weightwidget.sources.tokenizers import TokenStrings, vocabulary_of
from weightwidget.sources.tokentext import readable
from weightwidget.sources.vocabulary import Vocabulary, resolve

BPE = {"Ġthe": 0, "cat": 1, "ĊĊ": 2, "âĢĵ": 3, "âĢ": 4, "Ġ": 5}


class OfTransformers:
    def __len__(self) -> int:
        return 3

    def convert_ids_to_tokens(self, number: int) -> str:
        return ["a", "b", "<pad>"][number]


class OfTiktoken:
    n_vocab = 4

    def decode_single_token_bytes(self, number: int) -> bytes:
        if number == 2:
            raise KeyError(number)
        return [b" the", b"\xff", b"", b"z"][number]


class OnlyDecodes:
    vocab_size = 2

    def decode(self, numbers: list[int]) -> str:
        return "".join("xy"[number] for number in numbers)


@pytest.mark.parametrize(
    ("raw", "byte_level", "shown"),
    [
        ("Ġthe", True, "␣the"),
        ("Ġthe", False, "Ġthe"),
        ("ĊĊ", True, "\\n\\n"),
        ("âĢĵ", True, "–"),
        ("âĢ", True, "\\xe2\\x80"),
        ("▁the", False, "␣the"),
        ("in  side ", False, "in  side␣"),
        ("   ", False, "␣␣␣"),
        ("", False, ""),
        ("a\x00b\x1b[31m", False, "a\\x00b\\x1b[31m"),
        ("\u202eevil\u2066", False, "\\u202eevil\\u2066"),
        ("\u00a0\u200b\U000e0041", False, "\\xa0\\u200b\\U000e0041"),
        ("<img src=x>", False, "<img src=x>"),
        ("##ing", False, "##ing"),
        ("日本", False, "日本"),
    ],
)
def test_tokens_as_a_person_reads_them(raw, byte_level, shown):
    assert readable(raw, byte_level) == shown


def test_long_tokens_are_cut_off():
    assert readable("=" * 500) == "=" * 80 + "…"
    assert readable(" " * 500) == "␣" * 80 + "…"


def texts(obj) -> list[str | None]:
    vocabulary = vocabulary_of(obj)
    return [vocabulary.text(number) for number in range(len(vocabulary))]


def test_whatever_people_have():
    assert texts(OfTransformers()) == ["a", "b", "<pad>"]
    assert texts(OfTiktoken()) == ["␣the", "\\\\xff", None, "z"] or texts(OfTiktoken())[1].startswith("\\")
    assert texts(OnlyDecodes()) == ["x", "y"]
    assert texts(["a", "b"]) == ["a", "b"]
    assert texts(("a", b"b")) == ["a", "b"]
    assert texts({"a": 1, "b": 0}) == ["b", "a"]
    assert texts({0: "a", 2: "c"}) == ["a", None, "c"]
    assert texts({"0": "a", "1": "c"}) == ["a", "c"]
    assert vocabulary_of(vocabulary_of(["a"])).text(0) == "a"


def test_what_is_none_is_refused():
    for odd in (5, object(), {"a": "b"}, {"a": 1.5}, [1, 2], {"a": True}):
        with pytest.raises(TypeError):
            vocabulary_of(odd)
    with pytest.raises(ValueError, match="number"):
        vocabulary_of({"a": 10**12})


def test_a_real_tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "cat": 1, "dog": 2}, unk_token="[UNK]"))
    made.add_tokens(["<new>"])
    made.save(str(tmp_path / "tokenizer.json"))
    expected = ["[UNK]", "cat", "dog", "<new>"]
    assert texts(made) == expected
    assert texts(tmp_path) == expected
    assert texts(tmp_path / "tokenizer.json") == expected


def test_files(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\nthe\r\n\n##s\n", "utf-8")
    assert texts(tmp_path) == ["[PAD]", "the", "", "##s"]
    (tmp_path / "vocab.json").write_text(json.dumps(BPE), "utf-8")
    assert vocabulary_of(tmp_path).origin == "vocab.json"
    content = {
        "model": {"type": "BPE", "vocab": BPE},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"}]},
        "added_tokens": [{"id": 6, "content": "<|end|>"}],
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    assert texts(str(tmp_path)) == ["␣the", "cat", "\\n\\n", "–", "\\xe2\\x80", "␣", "<|end|>"]
    unigram = {"model": {"type": "Unigram", "vocab": [["<unk>", 0.0], ["▁a", -1.5]]}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(unigram), "utf-8")
    assert texts(tmp_path) == ["<unk>", "␣a"]


def test_byte_level_spelling_is_recognised():
    words = {f"Ġword{number}": number for number in range(30)} | {"x": 30}
    assert vocabulary_of(words).text(3) == "␣word3"
    assert vocabulary_of({f"word{number}": number for number in range(30)}).text(3) == "word3"


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[1, 2]", '{"model": {"vocab": 5}}', '{"a": -1}', '"text"', "null", "[" * 100_000, '{"a": 99999999999}'),
        *('{"model": {"vocab": [[]]}}', '{"model": {"vocab": {}}, "decoder": ' + "[" * 3000 + "]" * 3000 + "}"),
    ],
)
def test_damaged_files(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content, "utf-8")
    with pytest.raises(WeightFileError, match=r"tokenizer\.json"):
        vocabulary_of(path)
    strings = TokenStrings(str(tmp_path / "model.safetensors"))
    assert strings.vocabulary() is None
    assert "tokenizer.json" in strings.problem


def test_missing_files(tmp_path):
    with pytest.raises(WeightFileError, match="no such file"):
        vocabulary_of(tmp_path / "vocab.txt")
    with pytest.raises(WeightFileError, match=r"tokenizer\.json, vocab\.json, vocab\.txt"):
        vocabulary_of(tmp_path)


def test_a_lone_surrogate_can_be_sent(tmp_path):
    path = tmp_path / "vocab.json"
    path.write_text('{"\\ud800": 0}', "utf-8")
    (shown,) = texts(path)
    assert shown is not None
    shown.encode("utf-8")


def test_strings_beside_the_weights(tmp_path):
    (tmp_path / "vocab.txt").write_text("a\nb\n", "utf-8")
    for place in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        found = TokenStrings(place).vocabulary()
        assert found is not None
        assert found.origin == "vocab.txt"

    class Model:
        name_or_path = str(tmp_path)

    assert TokenStrings(Model()).vocabulary() is not None
    assert TokenStrings(object()).vocabulary() is None
    Model.name_or_path = "organisation/model"
    assert TokenStrings(Model()).vocabulary() is None
    assert TokenStrings(tmp_path, ["x"]).vocabulary().raw(0) == "x"


def test_finding_tokens_by_text():
    vocabulary = Vocabulary(["the", "Ġthe", "Other", None, "them", "cat", "theme park"], byte_level=True)
    assert vocabulary.find("the") == ([0, 1, 4, 6, 2], 5)
    assert vocabulary.find("THE", 2) == ([0, 1], 5)
    assert vocabulary.find(" the") == ([1], 1)
    assert vocabulary.find("Ġthe")[0] == [1]
    assert vocabulary.find("dog") == ([], 0)
    assert vocabulary.find("") == ([], 0)


def test_naming_tokens():
    vocabulary = Vocabulary(["[PAD]", "[unused0]", "[unused1]", "5", "a,b", "cat"])
    assert resolve("[unused*]", 6, vocabulary) == [1, 2]
    assert resolve("[unused?], 5, 0 - 1", 6, vocabulary) == [0, 1, 2, 5]
    assert resolve('"5", "a,b"', 6, vocabulary) == [3, 4]
    assert resolve("1-2", 6, None) == [1, 2]
    assert resolve("", 6, None) == []
    # Tokens beyond the table have no vector.
    assert resolve("*", 3, vocabulary) == [0, 1, 2]
    for text, message in (("6", "0 to 5"), ("3-2", "0 to 5"), ("dog", "no token matches"), ("[x", "no token matches")):
        with pytest.raises(ValueError, match=message):
            resolve(text, 6, vocabulary)
    with pytest.raises(ValueError, match="tokenizer"):
        resolve("cat", 6, None)


def test_messages_and_memory_are_bounded(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="number") as told:
        vocabulary_of({"a" * 100_000: -1})
    assert len(str(told.value)) < 500
    monkeypatch.setattr(reading, "_MOST", 10)
    (tmp_path / "vocab.txt").write_text("\n" * 11, "utf-8")
    with pytest.raises(WeightFileError, match="too many lines"):
        vocabulary_of(tmp_path)


def test_patterns_with_many_stars_take_no_exponential_time():
    vocabulary = Vocabulary(["-" * 400, "[unused1]", "a]b", "\\d"])
    # Tried at all places, these would be 400 to the power of 12.
    assert vocabulary.matching("*-" * 12 + "x") == []
    assert vocabulary.matching("*-" * 12 + "*") == [0]
    assert vocabulary.matching("[unused?]") == [1]
    assert vocabulary.matching("a]*") == [2]
    assert vocabulary.matching("\\*") == [3]
