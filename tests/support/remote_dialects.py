"""The dialects of OpenAI-compatible servers, as a table: how each sends the same reply.

Each stands for a kind that was seen in the field; docs/decisions/ names the sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.remote_server import Behaviour, Call

Sends = Callable[[Call, str], object]


def delta(**fields: Any) -> dict[str, Any]:
    """Return an event with these fields in its delta."""
    return {"choices": [{"index": 0, "delta": fields}]}


def in_pieces(call: Call, text: str, size: int = 3) -> Call:
    """Stream a text in small pieces, which split every mark in it."""
    for at in range(0, len(text), size):
        call.say(text[at : at + size])
    return call


def _written(before: str, after: str = "") -> Sends:
    return lambda call, reply: in_pieces(call.start(), before + reply + after).end()


def _parts(call: Call, reply: str) -> None:
    call.start().say([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}])
    call.say([{"type": "text", "text": reply[:9]}, {"type": "image_url", "image_url": {"url": "x"}}])
    call.say({"type": "text", "text": reply[9:]}).end()


def _between(call: Call, reply: str) -> None:
    call.start().raw(b": ping\n\n").event("null").event({}).event("").event("[]").event({"x_provider": {"cost": 1}})
    call.event({"choices": []}).event({"choices": None, "usage": None}).raw(b"event: ping\ndata: [KEEPALIVE]\n\n")
    call.event(delta(role=None, content=None)).event({"choices": [{"delta": None, "finish_reason": ""}]})
    call.say(reply[:5]).event("ping").event("null").say(reply[5:]).end()


def _single_line_feeds(call: Call, reply: str) -> None:
    call.start()
    for at in range(0, len(reply), 4):
        call.raw(f"data: {json.dumps(delta(content=reply[at : at + 4]))}\n".encode())
    call.raw(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\ndata: [DONE]\n')


def _lines_of_json(call: Call, reply: str) -> None:
    call.start(200, "application/x-ndjson").raw(json.dumps(delta(content=reply)).encode() + b"\n")
    call.raw(b'{"choices": [{"delta": {}, "finish_reason": "stop"}]}\n')


def _whole(content: str) -> Sends:
    def send(call: Call, reply: str) -> None:
        message = {"role": "assistant", "content": reply, "reasoning_content": "Hm."}
        body = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": None}]}
        call.start(200, content).raw(json.dumps(body, indent=2).encode())

    return send


def _summary(call: Call, reply: str) -> None:
    call.start().say(reply)
    call.event({"choices": [{"message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}]})


def _stop_on_every_event(call: Call, reply: str) -> None:
    call.start()
    for fields in ({"reasoning_content": "Hm."}, {"content": reply[:4]}, {"content": reply[4:]}):
        call.event({"choices": [{"delta": fields, "finish_reason": "stop"}]})
    call.event("[DONE]")


def _reasoning(field: str) -> Sends:
    return lambda call, reply: call.start().event(delta(**{field: "Hm. {"})).say(reply).end()


def _all_as_reasoning(call: Call, reply: str) -> None:
    call.start().event(delta(reasoning_content=reply)).end()


def _bytes(change: Callable[[bytes], bytes], size: int = 0) -> Sends:
    """Change all bytes of a plain stream, and send them `size` at a time."""

    def send(call: Call, reply: str) -> None:
        events = [delta(content=reply[at : at + 4]) for at in range(0, len(reply), 4)]
        events += [{"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}]
        plain = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events) + "data: [DONE]\n\n"
        sent = change(plain.encode())
        call.start()
        for at in range(0, len(sent), size or len(sent)):
            call.raw(sent[at : at + (size or len(sent))])

    return send


def _extras(call: Call, reply: str) -> None:
    call.start()
    for at in range(0, len(reply), 4):
        fields = {"content": reply[at : at + 4], "tool_calls": None, "refusal": None, "audio": None}
        choice = {"index": 0, "delta": fields, "logprobs": {"content": [{"token": "x"}]}, "matched_stop": None}
        call.event({"choices": [choice], "usage": {"prompt_tokens": "7", "completion_tokens": 3.0}, "timings": {}})
    call.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "eos"}]}).event("[DONE]")


def _two(call: Call, reply: str) -> None:
    call.start()
    for at in range(0, len(reply), 4):
        for index, text in enumerate((reply[at : at + 4], "zzz")):
            call.event({"choices": [{"index": index, "delta": {"content": text}}]})
    call.end()


_FINAL = "<|start|>assistant<|channel|>final<|message|>"
DIALECTS: dict[str, Sends] = {
    "plain": _written(""),
    "think_block_in_content": _written("<think>\nx\n</think>\n\n"),
    "empty_think_block": _written("<think>\n\n</think>\n\n"),
    "two_think_blocks": _written("<think>a</think>\n<think>b</think>"),
    "think_block_of_magistral": _written("[THINK]x[/THINK]"),
    "think_block_of_kimi": _written("◁think▷x◁/think▷"),
    "think_block_of_gemma": _written("<|channel>thought\nx<channel|>"),
    "think_block_opened_in_the_prompt": _written("Okay, I am the seller.\n</think>\n"),
    "channel_marks": _written(f"<|channel|>analysis<|message|>x<|end|>{_FINAL}"),
    "channel_marks_to_the_end": _written("<|channel|>final<|message|>", "<|return|>"),
    "channel_marks_with_a_commentary": _written(
        f"<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary<|message|>y<|end|>{_FINAL}"
    ),
    "channels_without_marks": _written("analysis" + "We need to answer. " * 30 + "assistantfinal"),
    "end_token_in_the_text": _written("", "<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>"),
    "think_block_of_minimax": _written("<mm:think>x</mm:think>"),
    "end_token_of_mistral": _written("", "</s>"),
    "end_token_of_gemma": _written("", "<eos>"),
    "end_token_of_deepseek": _written("", "<｜end▁of▁sentence｜>"),
    "end_token_of_smolvlm": _written("", "\n<end_of_utterance>\nUser: And now?"),
    "header_of_llama_3": _written("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    "header_of_chatml": _written("<|im_start|>assistant\n<think>\n</think>\n"),
    "content_as_parts": _parts,
    "events_without_deltas": _between,
    "lines_ended_by_one_line_feed": _single_line_feeds,
    "lines_of_json": _lines_of_json,
    "whole_answer": _whole("application/json"),
    "whole_answer_as_a_stream": _whole("text/event-stream"),
    "stream_with_a_summary": _summary,
    "stop_on_every_event": _stop_on_every_event,
    "reasoning_content": _reasoning("reasoning_content"),
    "reasoning": _reasoning("reasoning"),
    "reply_filed_as_reasoning": _all_as_reasoning,
    "answer_tags": _written("<think>x</think>\n<answer>\n", "\n</answer>"),
    "response_marks_of_cohere": _written("<|START_THINKING|>x<|END_THINKING|><|START_RESPONSE|>", "<|END_RESPONSE|>"),
    "box_marks_of_glm": _written("<think>x</think><|begin_of_box|>", "<|end_of_box|>"),
    "lines_ended_by_cr_lf": _bytes(lambda sent: sent.replace(b"\n", b"\r\n")),
    "lines_ended_by_cr_lf_byte_by_byte": _bytes(lambda sent: sent.replace(b"\n", b"\r\n"), 1),
    "lines_ended_by_cr": _bytes(lambda sent: sent.replace(b"\n", b"\r"), 3),
    "byte_order_mark_in_pieces": _bytes(lambda sent: b"\xef\xbb\xbf" + sent, 2),
    "no_space_after_the_colon": _bytes(lambda sent: sent.replace(b"data: ", b"data:")),
    "neither_done_nor_finish_reason": _bytes(lambda sent: sent.partition(b'data: {"choices": [{"delta": {}')[0]),
    "provider_fields_and_odd_numbers": _extras,
    "done_in_small_letters": _bytes(lambda sent: sent.replace(b"[DONE]", b" [done] ")),
    "two_replies_side_by_side": _two,
}
"""How servers send a reply that is valid."""


def sends(dialect: str, reply: str) -> Behaviour:
    """Send a reply in one of the DIALECTS."""
    return lambda call: DIALECTS[dialect](call, reply)
