# ruff: noqa: E501 (lists of texts)
"""Several hundred replies that are none, each with its kind, to an offer on the table of the bicycle's scenario.

Most try to be taken for the acceptance `YES`, the others to break the reader.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from negotiation.replies.reader import MAX_REPLY
from negotiation.scenario.model import Offer

GOOD: Offer = {"price": 150, "lock": "with"}
ACCEPTED: dict[str, Any] = {"thought": "Fine.", "action": "accept", "offer": None, "message": "Deal!"}
OFFERED = {**ACCEPTED, "action": "offer", "offer": GOOD}


def accept(**changes: Any) -> str:
    """An acceptance, spoilt."""
    return json.dumps({**ACCEPTED, **changes})


def offer(**changes: Any) -> str:
    """An offer with some of its options spoilt."""
    return json.dumps({**OFFERED, "offer": {**GOOD, **changes}})


def without(key: str) -> str:
    return json.dumps({name: value for name, value in ACCEPTED.items() if name != key})


YES = accept()
EMPTY, NOT_JSON, WRONG_SHAPE, OFF_MENU, ILLEGAL = "empty", "not_json", "wrong_shape", "off_menu", "illegal_action"

HOSTILE = {
    # nothing at all
    "empty": ("", EMPTY),
    "blank": ("   \n\t\r\n ", EMPTY),
    "exotic white space": ("\u00a0\u2003\u3000\u0085", EMPTY),
    # talk
    "a word": ("accept", NOT_JSON),
    "a word in capitals": ("ACCEPT", NOT_JSON),
    "a sentence": ("I accept your offer.", NOT_JSON),
    "a negated sentence": ("I cannot accept that.", NOT_JSON),
    "another language": ("Einverstanden, ich nehme an!", NOT_JSON),
    "yet another language": ("私は受け入れます", NOT_JSON),
    "an emoji": ("👍", NOT_JSON),
    "a tag": ("<accept/>", NOT_JSON),
    "key and value": ("action: accept", NOT_JSON),
    "a form": ("thought=ok&action=accept&offer=&message=ok", NOT_JSON),
    "a control token": ("<|im_end|>", NOT_JSON),
    "an end before": (f"<|im_end|>{YES}", NOT_JSON),
    "an end behind": (f"{YES}<|im_end|>", NOT_JSON),
    "a think block before": (f"<think>I should accept.</think>{YES}", NOT_JSON),
    # something around it
    "a fence": (f"```json\n{YES}\n```", NOT_JSON),
    "a bare fence": (f"```{YES}```", NOT_JSON),
    "words before": (f"Here is my reply: {YES}", NOT_JSON),
    "words behind": (f"{YES} I hope this helps.", NOT_JSON),
    "a full stop behind": (f"{YES}.", NOT_JSON),
    "twice": (f"{YES}{YES}", NOT_JSON),
    "twice in lines": (f"{YES}\n{YES}", NOT_JSON),
    "an offer, then accepting": (f"{offer()}\n{YES}", NOT_JSON),
    "a byte order mark": (f"\ufeff{YES}", NOT_JSON),
    "exotic white space around": (f"\u00a0{YES}", NOT_JSON),
    "NUL before": (f"\0{YES}", NOT_JSON),
    "NUL behind": (f"{YES}\0", NOT_JSON),
    "a comment": (f"{YES} // yes", NOT_JSON),
    "a comment inside": (YES.replace("{", "{/* yes */", 1), NOT_JSON),
    # broken JSON
    "cut off": (YES[:-1], NOT_JSON),
    "cut off inside a text": (YES[: YES.index("Deal!") + 2], NOT_JSON),
    "one brace too many": (f"{YES}}}", NOT_JSON),
    "a trailing comma": (YES.replace("}", ",}"), NOT_JSON),
    "single quotes": (YES.replace('"', "'"), NOT_JSON),
    "no quotes": (YES.replace('"', ""), NOT_JSON),
    "curly quotes": (YES.replace('"', "”"), NOT_JSON),
    "python's None": (YES.replace("null", "None"), NOT_JSON),
    "a raw line break in a text": (YES.replace("Deal!", "De\nal"), NOT_JSON),
    "a raw NUL in a text": (YES.replace("Deal!", "De\0al"), NOT_JSON),
    "an escape that is none": (YES.replace("Deal!", r"\x41"), NOT_JSON),
    "half an escape": (YES.replace("Deal!", r"\u12"), NOT_JSON),
    "NaN for the offer": (YES.replace("null", "NaN"), NOT_JSON),
    "Infinity for the offer": (YES.replace("null", "Infinity"), NOT_JSON),
    "a price of NaN": (offer().replace("150", "NaN"), NOT_JSON),
    "a price of -Infinity": (offer().replace("150", "-Infinity"), NOT_JSON),
    "a number with a leading zero": (offer().replace("150", "0150"), NOT_JSON),
    "a number with a plus": (offer().replace("150", "+150"), NOT_JSON),
    "a hexadecimal number": (offer().replace("150", "0x96"), NOT_JSON),
    "a number with separators": (offer().replace("150", "1_50"), NOT_JSON),
    "a bare number with a currency": (offer().replace("150", "€150"), NOT_JSON),
    "full-width digits": (offer().replace("150", "１５０"), NOT_JSON),
    "doubled keys, then more text": (YES[:-1] + ', "thought": "x"} and so on', NOT_JSON),
    "doubled keys, cut off": ('{"offer": {"price": 1, "price": 2}, "action": "accept"', NOT_JSON),
    "deep nesting": ("[" * 10_000 + "]" * 10_000, NOT_JSON),
    "deep nesting without an end": ('{"a":' * 3_000, NOT_JSON),
    "a little too long": (accept(message="x" * MAX_REPLY), NOT_JSON),
    "megabytes": (accept(thought="accept " * 500_000), NOT_JSON),
    "megabytes of braces": ("{" * 3_000_000, NOT_JSON),
    # JSON, but no reply
    "a text": ('"accept"', WRONG_SHAPE),
    "a reply in quotes": (json.dumps(YES), WRONG_SHAPE),
    "null": ("null", WRONG_SHAPE),
    "true": ("true", WRONG_SHAPE),
    "a number": ("150", WRONG_SHAPE),
    "an empty object": ("{}", WRONG_SHAPE),
    "a list": (f"[{YES}]", WRONG_SHAPE),
    "only an action": ('{"action": "accept"}', WRONG_SHAPE),
    "only a type": ('{"type": "not_accepted"}', WRONG_SHAPE),
    "nested in a reply": (json.dumps({"reply": ACCEPTED}), WRONG_SHAPE),
    "no thought": (without("thought"), WRONG_SHAPE),
    "no action": (without("action"), WRONG_SHAPE),
    "no offer": (without("offer"), WRONG_SHAPE),
    "no message": (without("message"), WRONG_SHAPE),
    "a key more": (accept(confidence=1), WRONG_SHAPE),
    "a key in capitals": (YES.replace("action", "Action"), WRONG_SHAPE),
    "a key with a blank": (YES.replace("action", "action "), WRONG_SHAPE),
    "a key in another language": (YES.replace("action", "aktion"), WRONG_SHAPE),
    "two actions": (YES[:-1] + ', "action": "accept"}', WRONG_SHAPE),
    "an offer, overruled by a second action": (
        offer()[:-1] + ', "action": "accept", "offer": null}',
        WRONG_SHAPE,
    ),
    "an action spelled in escapes beside another": (YES[:-1] + ', "\\u0061ction": "walk_away"}', WRONG_SHAPE),
    "a doubled key in the offer": (offer().replace('"price": 150', '"price": 150, "price": 100'), WRONG_SHAPE),
    "a doubled empty key": ('{"": 1, "": 2}', WRONG_SHAPE),
    # wrong types
    "a thought of null": (accept(thought=None), WRONG_SHAPE),
    "a thought of a number": (accept(thought=7), WRONG_SHAPE),
    "a message of a list": (accept(message=["Deal!"]), WRONG_SHAPE),
    "a message of an object": (accept(message={"action": "accept"}), WRONG_SHAPE),
    "an action of true": (accept(action=True), WRONG_SHAPE),
    "an action of null": (accept(action=None), WRONG_SHAPE),
    "an action of a list": (accept(action=["accept"]), WRONG_SHAPE),
    "an action of an object": (accept(action={"accept": True}), WRONG_SHAPE),
    "an action of a number": (accept(action=1), WRONG_SHAPE),
    "an action of a huge number": (YES.replace('"accept"', "9" * 6000), WRONG_SHAPE),
    # no such action
    "another letter case": (accept(action="Accept"), ILLEGAL),
    "capitals": (accept(action="ACCEPT"), ILLEGAL),
    "an acceptance with a blank": (accept(action="accept "), ILLEGAL),
    "an acceptance with a line break": (accept(action="accept\n"), ILLEGAL),
    "an acceptance with a full stop": (accept(action="accept."), ILLEGAL),
    "an acceptance with NUL": (accept(action="accept\0"), ILLEGAL),
    "an acceptance with a joiner": (accept(action="accept\u200d"), ILLEGAL),
    "a look-alike acceptance": (accept(action="аccept"), ILLEGAL),
    "full-width acceptance": (accept(action="ａｃｃｅｐｔ"), ILLEGAL),
    "half a character": (accept(action="accept\ud83d"), ILLEGAL),
    "a negated acceptance": (accept(action="not accept"), ILLEGAL),
    "not accepted": (accept(action="not_accepted"), ILLEGAL),
    "accepted": (accept(action="accepted"), ILLEGAL),
    "rejecting": (accept(action="reject"), ILLEGAL),
    "accepting or not": (accept(action="accept|reject"), ILLEGAL),
    "accepting in another language": (accept(action="annehmen"), ILLEGAL),
    "an action of nothing": (accept(action=""), ILLEGAL),
    "the name of the constant": (accept(action="Action.ACCEPT"), ILLEGAL),
    "a counter-offer by name": (json.dumps({**OFFERED, "action": "counter_offer"}), ILLEGAL),
    # accepting, but
    "accepting with the offer": (json.dumps({**OFFERED, "action": "accept"}), WRONG_SHAPE),
    "accepting with an empty offer": (accept(offer={}), WRONG_SHAPE),
    "accepting with an empty text": (accept(offer=""), WRONG_SHAPE),
    "accepting with false": (accept(offer=False), WRONG_SHAPE),
    "accepting with zero": (accept(offer=0), WRONG_SHAPE),
    "accepting with null in quotes": (accept(offer="null"), WRONG_SHAPE),
    "leaving with an offer": (json.dumps({**OFFERED, "action": "walk_away"}), WRONG_SHAPE),
    # an offer, but
    "an offer of nothing": (json.dumps({**OFFERED, "offer": None}), WRONG_SHAPE),
    "an offer of an empty object": (json.dumps({**OFFERED, "offer": {}}), WRONG_SHAPE),
    "an offer of a list": (json.dumps({**OFFERED, "offer": [150, "with"]}), WRONG_SHAPE),
    "an offer of a sentence": (json.dumps({**OFFERED, "offer": "150 with the lock"}), WRONG_SHAPE),
    "an offer in quotes": (json.dumps({**OFFERED, "offer": json.dumps(GOOD)}), WRONG_SHAPE),
    "an issue missing": (json.dumps({**OFFERED, "offer": {"price": 150}}), WRONG_SHAPE),
    "an issue more": (offer(bell="yes"), WRONG_SHAPE),
    "an issue in capitals": (offer().replace("price", "Price"), WRONG_SHAPE),
    "an issue by its title": (offer().replace('"lock"', '"Lock"'), WRONG_SHAPE),
    "a number in quotes": (offer(price="150"), WRONG_SHAPE),
    "a number with its currency": (offer(price="€150"), WRONG_SHAPE),
    "a number in words": (offer(price="one hundred and fifty"), WRONG_SHAPE),
    "a number with a point": (offer(price=150.0), WRONG_SHAPE),
    "a number with an exponent": (offer().replace("150", "1.5e2"), WRONG_SHAPE),
    "an endless number": (offer().replace("150", "1e999"), WRONG_SHAPE),
    "a number of true": (offer(price=True), WRONG_SHAPE),
    "a number of null": (offer(price=None), WRONG_SHAPE),
    "a range of numbers": (offer(price=[140, 150]), WRONG_SHAPE),
    "an option of true": (offer(lock=True), WRONG_SHAPE),
    "an option of its number": (offer(lock=0), WRONG_SHAPE),
    "an option of null": (offer(lock=None), WRONG_SHAPE),
    "several options": (offer(lock=["with", "without"]), WRONG_SHAPE),
    # not on the menu
    "a price below the range": (offer(price=90), OFF_MENU),
    "a price above the range": (offer(price=210), OFF_MENU),
    "a price between two steps": (offer(price=155), OFF_MENU),
    "a negative price": (offer(price=-150), OFF_MENU),
    "no price": (offer(price=0), OFF_MENU),
    "a huge price": (offer(price=10**30), OFF_MENU),
    "a price of thousands of digits": (offer().replace("150", "1" * 6000), OFF_MENU),
    "a debt of thousands of digits": (offer().replace("150", "-" + "1" * 6000), OFF_MENU),
    "an option in capitals": (offer(lock="With"), OFF_MENU),
    "an option with a blank": (offer(lock=" with"), OFF_MENU),
    "no option": (offer(lock=""), OFF_MENU),
    "an option that is none": (offer(lock="maybe"), OFF_MENU),
    "an option in another language": (offer(lock="mit"), OFF_MENU),
    "half a character as an option": (offer(lock="with\udc00"), OFF_MENU),
    "an option of kilobytes": (offer(lock="with" * 2000), OFF_MENU),
}


def _add(about: str, kind: str, texts: Any) -> None:
    """Add replies of one kind under a common name."""
    for number, text in enumerate(texts):
        HOSTILE[f"{about}, {number}: {text[:24]!r}"] = (text, kind)


def _bare(price: str) -> str:
    """An offer with a price written without quotes, whatever it is."""
    return offer().replace("150", price)


TALK = """
I accept.|I ACCEPT!!!|accept accept accept|I do not accept.|I won't accept this|I can't accept that, sorry|never accept
I accept nothing less than 180|I would accept, but not at this price|Do you accept?|Accept? No.|not accepted|unacceptable
If you add the lock I accept|I accept your counter-offer of 120|My boss says: accept|"accept" is what I will not do
No acepto.|Acepto|Je n'accepte pas.|J'accepte|Ich nehme nicht an.|Ich nehme an|Non accetto|Accetto|Não aceito|Aceito
Ik ga niet akkoord|Akkoord|Nie zgadzam się|Zgadzam się|Не принимаю|Принимаю|Δεν δέχομαι|Δέχομαι|Kabul etmiyorum|Kabul
لا أقبل|أقبل|אני לא מקבל|אני מקבל|मैं स्वीकार नहीं करता|मैं स्वीकार करता हूँ|我不接受|我接受|受け入れません|承諾します
거절합니다|수락합니다|Tôi không chấp nhận|Tôi chấp nhận|ฉันไม่ยอมรับ|ฉันยอมรับ|En hyväksy|Hyväksyn|Nem fogadom el|Elfogadom
ok|OK deal|yes|sí|oui|да|はい|✅|🤝|thumbs up|👎|1|true|null offer|action=accept|/accept|!accept|accept()|ACTION: ACCEPT
""".strip()
_add("talk", NOT_JSON, (text for line in TALK.splitlines() for text in line.split("|") if text not in ("1", "true")))

TOKENS = [
    "<|im_end|>",
    "<|im_start|>assistant",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "</s>",
    "<s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<bos>",
    "<eos>",
    "<end_of_turn>",
    "<start_of_turn>model",
    "<|assistant|>",
    "<|user|>",
    "<|system|>",
    "<|end|>",
    "<think></think>",
    "<tool_call>",
    "</tool_call>",
    "<function_call>",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<unk>",
    "<pad>",
    "<|fim_middle|>",
    "\x00",
    "\x1b[0m",
]
_add("a control token before", NOT_JSON, (token + YES for token in TOKENS))
_add("a control token behind", NOT_JSON, (YES + token for token in TOKENS))
_add("a control token in the action", ILLEGAL, (accept(action=f"accept{token}") for token in TOKENS))
_add("a control token in a key", WRONG_SHAPE, (YES.replace('"action"', json.dumps(f"action{t}")) for t in TOKENS))
_add("a control token in an option", OFF_MENU, (offer(lock=f"with{token}") for token in TOKENS))

AROUND = [
    "Sure! ", "Reply: ", "JSON:\n", "```json\n", "```\n", "~~~\n", "`", "(", "[", "'", '"', "$", "> ", "- ", "1. ", "# ",
    "assistant: ", "Assistant:\n", "Thought: hm\nAction: ", "<json>", "<answer>", "<![CDATA[", "data: ", "return ",
    "const reply = ", "reply = ", "\\boxed{", "\u200b", "\u2060", "\ufeff", "\u00a0", "\u2028", "\x1e", "\x0b", "\x0c", "\x7f",
    "null", "true ", "0", ",", ";", ":", "}", "{", "[]", "{}", "\u202e",
]  # fmt: skip
_add("something before", NOT_JSON, (before + YES for before in AROUND))
_add("something behind", NOT_JSON, (YES + behind for behind in AROUND))
_add(
    "two with something between",
    NOT_JSON,
    (YES + mark + YES for mark in ["", " ", "\n", "\r\n", ",", ";", "\x1e", "|"]),
)
_add("an offer and an acceptance", NOT_JSON, (offer() + mark + YES for mark in ["", "\n", ",", " or ", "\n---\n"]))
_add("lists of replies", WRONG_SHAPE, (f"[{YES}]", f"[{offer()}, {YES}]", f"[[{YES}]]", "[]", f'["accept", {YES}]'))
_add(
    "wrapped",
    WRONG_SHAPE,
    (json.dumps({key: ACCEPTED}) for key in ["reply", "response", "json", "action", "", "offer"]),
)
_add("in quotes", WRONG_SHAPE, (json.dumps(YES), json.dumps(json.dumps(YES)), json.dumps("accept"), '""', '"null"'))
_add("scalars", WRONG_SHAPE, ("0", "1", "-1", "150", "1.5", "1e9", "true", "false", "null", "9" * 5000))
_add(
    "keys missing",
    WRONG_SHAPE,
    (
        json.dumps({key: value for key, value in ACCEPTED.items() if key not in gone})
        for size in (1, 2, 3, 4)
        for gone in itertools.combinations(ACCEPTED, size)
    ),
)
_add(
    "keys more",
    WRONG_SHAPE,
    (accept(**{key: None}) for key in ["accept", "price", "Action", "type", "reasoning", "", "offers", "a" * 500]),
)
_add(
    "a key doubled", WRONG_SHAPE, (YES[:-1] + f", {json.dumps(key)}: {json.dumps(ACCEPTED[key])}}}" for key in ACCEPTED)
)
_add("a key doubled before", WRONG_SHAPE, (f'{{"{key}": "offer", {YES[1:]}' for key in ACCEPTED))
_add("deep in a known key", WRONG_SHAPE, (accept(offer=json.loads("[" * n + "]" * n)) for n in (1, 5, 50, 400)))

NO_TEXT: list[Any] = [None, True, False, 0, 1, -1.5, [], {}, ["accept"], {"text": "accept"}]
for name in ("thought", "message", "action"):
    _add(f"a {name} of another type", WRONG_SHAPE, (accept(**{name: value}) for value in NO_TEXT))
_add("an option of another type", WRONG_SHAPE, (offer(lock=value) for value in NO_TEXT))
_add(
    "accepting with something",
    WRONG_SHAPE,
    (accept(offer=value) for value in [0, 1, -1.5, True, "", "x", "None", [], [None], {}, GOOD, {"offer": None}]),
)

NO_NUMBERS = ["150", "150.0", "€150", "150€", "150 EUR", "$150", "US$150", "£150", "150,-", "1,50", "~150", ">=150", "150-160",
              "150 or 160", "一百五十", "cent cinquante", "CL", "", " ", "null", "150\u00a0€", "٠", "⅒", "0x96", "1e2"]  # fmt: skip
_add("a price as a text", WRONG_SHAPE, (offer(price=text) for text in NO_NUMBERS))
_add("a price of another type", WRONG_SHAPE, (offer(price=v) for v in (None, True, False, [], {}, [150], {"eur": 150})))
FLOATS = ["150.0", "150.00000", "1.5e2", "15e1", "15E+1", "1500e-1", "0.15e3", "150.5", "-0.0", "1e400", "1e-400"]
_add("a whole number as a float", WRONG_SHAPE, map(_bare, FLOATS))
BROKEN = ["0150", "+150", "0x96", "0b1", "1_50", "1,500", ".5", "150.", "1e", "--150", "- 150", "１５０", "٣", "150L", "150n", "∞",
          "NaN", "nan", "Infinity", "-Infinity", "inf", "€150", "150€", "150 EUR", "$150", "100+50", "150%", "True", "None",
          "undefined", "", "'150'", "“150”", "15 0"]  # fmt: skip
_add("a number that is not JSON", NOT_JSON, map(_bare, BROKEN))
OUT = [-1, 0, 1, 99, 101, 105, 149, 151, 199, 201, 210, 1000, -150, 2**31, -(2**31), 2**63, 2**64, 10**100, -(10**100)]
_add("a price that is none", OFF_MENU, (offer(price=price) for price in OUT))
OPTIONS = ["With", "WITH", "with ", " with", "with.", "wíth", "w\u0456th", "with\u200b", "with\n", "mit", "avec", "yes", "both",
           "with, without", "with|without", "without lock", "", "null", "true", "0", "accept", "ｗｉｔｈ"]  # fmt: skip
_add("an option that is none", OFF_MENU, (offer(lock=option) for option in OPTIONS))

ACTIONS = [
    "Accept",
    "ACCEPT",
    "aCCEPT",
    "accept!",
    "accept?",
    "accept,",
    '"accept"',
    "'accept'",
    "accepted",
    "accepts",
    "accepting",
    "acceptance",
    "acept",
    "accept_offer",
    "accept-offer",
    "acceptOffer",
    "agree",
    "agreed",
    "deal",
    "ok",
    "yes",
    "y",
    "done",
    "take",
    "take_it",
    "confirm",
    "not_accept",
    "dont_accept",
    "no_accept",
    "reject",
    "refuse",
    "decline",
    "counter",
    "counter_offer",
    "counteroffer",
    "propose",
    "Offer",
    "OFFER",
    "offers",
    "offer!",
    "walk",
    "walkaway",
    "walk-away",
    "WALK_AWAY",
    "Walk_away",
    "walk_away.",
    "leave",
    "quit",
    "end",
    "pass",
    "none",
    "null",
    "undefined",
    "offer|accept|walk_away",
    "offer/accept",
    "aceptar",
    "akzeptieren",
    "annehmen",
    "accepter",
    "accetta",
    "принять",
    "接受",
    "承諾",
    "수락",
    "قبول",
    "स्वीकार",
    "ａccept",
    "acсept",
    "accept́",
    "\u202eaccept",
    "𝐚𝐜𝐜𝐞𝐩𝐭",
    "{}",
    "[]",
    "0",
    "true",
]
_add("an action that is none", ILLEGAL, (accept(action=action) for action in ACTIONS))
_add(
    "an action with blanks",
    ILLEGAL,
    (accept(action=text) for text in ["accept it", "do not accept", "walk away", " accept", "\taccept", " "]),
)

_add(
    "other notations",
    NOT_JSON,
    (
        "thought: ok\naction: accept\noffer: null\nmessage: ok",
        "---\naction: accept\n---",
        "<reply><action>accept</action></reply>",
        "| action | accept |",
        'action = "accept"',
        "(accept)",
        '{"action" => "accept"}',
        "{action: 'accept'}",
        str(ACCEPTED),
        repr(YES),
        YES.replace(":", "=>"),
        YES.replace(",", ";"),
        YES.replace('"', "`"),
        YES.replace("null", "nil"),
        YES.replace("null", "undefined"),
        YES.replace("null", "NULL"),
        YES.replace("null", ""),
        YES[1:-1],
        YES.replace("}", "]"),
        YES.replace("{", "{,"),
        YES.encode("utf-16").decode("latin-1"),
        YES.encode().hex(),
    ),
)
_add("cut off", NOT_JSON, (YES[:end] for end in range(1, len(YES), 5)))
_add("the beginning is missing", NOT_JSON, (YES[start:] for start in range(1, len(YES), 5)))
_add("white space only", EMPTY, (" ", "\n", "\t", "\r\n", "\u2003", "\u00a0" * 9, " " * 100_000, "\n" * 50_000))
_add(
    "masses",
    NOT_JSON,
    (text * (1_000_000 // len(text)) for text in ("accept ", YES, "[", '{"action":', '"', "\\", "9", "🤝", "<think>")),
)
