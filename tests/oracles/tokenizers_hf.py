"""Hugging Face `tokenizers` on hostile strings: four small byte-level BPE files of public styles, and the ids they give."""

import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+" + REST
QWEN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+" + REST
BAILING = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)

CORPUS = [
    "The quasar's light travels, they'll see it; we've counted 12345 of them in 2024, don't you?\n",
    "El niño comió piñata. Größe, naïve façade, Ĳssel. Привет мир, как дела? 你好，世界。こんにちは世界\n",
    "हिन्दी में लिखना และภาษาไทย العَرَبِيَّة עִבְרִית 한국어 텍스트\n",
    "def f(x):\n\treturn x ** 2  # square\r\n\r\n    if x == 10:\n        print('it\\'s', x)\n",
    "quasar quasars quasarlike light lights lightning they them then there these those\n",
] * 4

HOSTILE = [
    "",
    " ",
    "  ",
    "\n",
    " \n",
    "\n ",
    "   \n\n  \r\n x",
    "a  b   c",
    "x \t y\u00a0z\u2003w\u3000v\u0085u\u2028t\ufeffs\u200bq\u1680p\x0b\x0c\x1c\x1f",
    "They'RE we'Ve I'M he'Ll 'S 'ſ 'ſs it'st 're 'rex ' s ''s",
    "'s't're've'm'll'd'x",
    "1234567 12 3.14 ½ Ⅻ ٣٤٥ 一二三 ²³ 1a2b",
    " 12 -12 $100 100% #1 1,000,000",
    "e\u0301 \u0301a a\u0301\u0302b \u0301\u0302 .\u0301x 1\u0301",
    "\u1112\u1161\u11ab\u1100\u1173\u11af \ufb01 \u212b \u1e9b\u0323 \u0958",
    "नमस्ते हिन्दी\u200d \u0e20\u0e32\u0e29\u0e32",
    "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇩🇪🇫🇷 👍🏽",
    "\ud7ff\ue000\uffff\U0001d54f\U00020000\U0010ffff",
    "\x00\x01\x7f\x80\xff",
    "<|begin|>hello<|end|>",
    "<|begin|><|begin|>x<|end|>\n<|end|",
    "a<think>b</think> c <think >",
    "<tool><tools><toolsx>",
    " <think> x",
    "Å<Å>Å<A\u030a>",
    "!!!...\n\n\n???\r\n--- \n*** x",
    "foo.bar(baz)[0] += \"q\" // c\n",
    "\t\tif\n\t \tx",
    "a" * 300,
    "ab" * 100 + " " * 50 + "\n" * 20,
    "quasar" * 20,
    "日本語テキスト、句読点。「引用」",
    "العَرَبِيَّة \u200f\u202e123",
]


def build(pattern, normalizer, unicode_style, ignore_merges):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizers.NFC()
    if pattern is None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    else:
        split = pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=[]
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    special = [AddedToken(text, special=True, normalized=False) for text in ["<|begin|>", "<|end|>"]]
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ["<think>", "</think>", "<tool>", "<tools>"]])
    if unicode_style:
        tokenizer.add_tokens([AddedToken("<A\u030a>", normalized=True)])
    return tokenizer


def as_strings(file):
    """The older way to write merges: halves in one string."""
    file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]


def main():
    out = {}
    for name, pattern, normalizer, unicode_style, ignore in [
        ("gpt2", None, False, False, False),
        ("llama3", LLAMA, False, False, True),
        ("qwen3_5", QWEN, True, True, False),
        ("bailing", BAILING, False, False, False),
    ]:
        tokenizer = build(pattern, normalizer, unicode_style, ignore)
        file = json.loads(tokenizer.to_str())
        if ignore:
            # A piece that no merge makes, and is a token all the same.
            vocab = file["model"]["vocab"]
            file["model"]["vocab"] = {text: i for text, i in vocab.items()}
            size = len(vocab)
            for token in file["added_tokens"]:
                token["id"] += 1
            file["model"]["vocab"]["\u0120lightx"] = size
            tokenizer = Tokenizer.from_str(json.dumps(file))
            file = json.loads(tokenizer.to_str())
        if name == "gpt2":
            as_strings(file)
        texts = HOSTILE + [" lightx lightxs"]
        cases = []
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            plain = tokenizer.decode(ids, skip_special_tokens=True)
            cases.append({"text": text, "ids": ids, "decoded": decoded, "plain": plain})
        out[name] = {"file": file, "cases": cases}
    print(json.dumps(out, separators=(",", ":"), sort_keys=False))


main()
