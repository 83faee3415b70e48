"""Answers of OpenAI-compatible servers from the field: each is read, or fails with an error that helps."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.backends import openai
from manager.backends.openai import OpenAIModel
from manager.backends.remote import pacing
from manager.config.model_spec import GenerationConfig, parse_spec
from manager.errors import (
    AccessDenied,
    ConfigError,
    ParleyError,
    RateLimited,
    ServerFailed,
    TooSlow,
    Unreachable,
    WeightsNotFound,
)
from manager.generation.request import Completion, GenerationRequest, Grammar, Message, as_messages
from manager.generation.stream import TokenStream
from manager.generation.thinking import Reasoning, Separator, Text
from tests.support.remote_dialects import DIALECTS, delta, in_pieces, sends
from tests.support.remote_server import Behaviour, Call, FaultyServer, answers, refuses

REPLY = '{"x": "a <b> {c} \\" d"}'
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"], "additionalProperties": False}
CASES = {"anyOf": [SCHEMA, {**SCHEMA, "properties": {"x": {"type": "null"}}}]}
MakeModel = Callable[..., OpenAIModel]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(openai, "LOADING_PAUSE", 0.002)
    made = FaultyServer()
    yield made
    made.close()


@pytest.fixture
def model(server: FaultyServer) -> Iterator[MakeModel]:
    made: list[OpenAIModel] = []

    def make(**settings: Any) -> OpenAIModel:
        config = {"type": "openai", "model_name": "org/m", "base_url": server.base_url, **settings}
        made.append(OpenAIModel(parse_spec("far", config), Path("unused")))
        return made[-1]

    yield make
    for each in made:
        each.close()


def asking(schema: dict[str, Any] | None = SCHEMA, thinking: int = 0, **settings: Any) -> GenerationRequest:
    grammar = None if schema is None else Grammar(schema=schema)
    return GenerationRequest(
        as_messages("Hi"), GenerationConfig(**settings), seed=1, grammar=grammar, thinking=thinking
    )


def write(model: OpenAIModel, request: GenerationRequest | None = None) -> Completion:
    stream = TokenStream()
    model.generate(request or asking(), stream)
    text = "".join(stream)
    assert text == stream.completion.text
    return stream.completion


# -- replies that are valid ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_reply_in_any_dialect_is_read(server: FaultyServer, model: MakeModel, dialect: str) -> None:
    server.behaviours = [sends(dialect, REPLY)]
    done = write(model())
    assert (done.text.strip(), done.finish_reason, done.held) == (REPLY, "stop", "schema")
    assert len(server.calls) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_thinking_that_is_wanted_is_put_in_one_block(server: FaultyServer, model: MakeModel, dialect: str) -> None:
    server.behaviours = [sends(dialect, REPLY)]
    text = write(model(), asking(thinking=500)).text
    assert text.count("<think>") == text.count("</think>") <= 2
    assert text.rpartition("</think>")[2].strip() == REPLY
    assert "<|" not in text


@pytest.mark.parametrize("size", range(1, 12))
def test_marks_are_found_however_they_are_split(size: int) -> None:
    text = "<think>a<b</think>\n<|channel|>analysis<|message|>c<|end|><|start|>assistant<|channel|>final<|message|>{}"
    separator = Separator(expects_json=True)
    found = [piece for at in range(0, len(text), size) for piece in separator.feed(text[at : at + size])]
    found += separator.end()
    assert "".join(piece.text for piece in found if isinstance(piece, Reasoning)) == "a<bc"
    assert "".join(piece.text for piece in found if isinstance(piece, Text)) == "{}"


@pytest.mark.parametrize("mark", ["</s>", "<|im_end|>", "<think>", "</think>", "<|end|>", "<eos>"])
def test_marks_inside_a_message_are_text(server: FaultyServer, model: MakeModel, mark: str) -> None:
    reply = json.dumps({"x": f"a {mark} b"})
    server.behaviours = [lambda call: in_pieces(call.start(), reply).end()]
    assert write(model()).text == reply


def test_prose_without_a_grammar_is_passed_on_as_it_arrives(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [lambda call: in_pieces(call.start(), "<think>x</think>Yes, <thin as it is.").end()]
    assert write(model(), asking(None)).text == "Yes, <thin as it is."
    server.behaviours = [lambda call: in_pieces(call.start(), "<answer>Yes.</answer> <s>No").end()]
    assert write(model(), asking(None)).text == "<answer>Yes.</answer> <s>No"
    server.behaviours = [lambda call: in_pieces(call.start(), "\n Yes. </think> No").end()]
    assert write(model(), asking(None)).text == "\n Yes. </think> No"


# -- replies that are not ------------------------------------------------------------------------------------------


def only_reasoning(call: Call) -> None:
    call.start()
    for _ in range(8):
        call.event(delta(reasoning_content="Hm. " * 9))
    call.end("length", (7, call.body["max_tokens"]))


NOTES: dict[str, tuple[Behaviour, str]] = {
    "only_reasoning_until_the_limit": (only_reasoning, "All 320 tokens went into thinking .* option 'thinking'"),
    "an_open_think_block_until_the_limit": (
        answers("<think>Hm. " * 20, (7, 320), "length"),
        "All 320 tokens went into thinking",
    ),
    "only_reasoning": (lambda c: c.start().event(delta(reasoning="Hm.")).end(), "its thinking, but no reply"),
    "cut_off_by_the_server": (answers('{"x": "', (7, 16), "length"), "cut off after 16 tokens by the server's limit"),
    "cut_off_without_usage": (answers('{"x": "', None, "length"), "cut off after about 2 tokens by the server's"),
    "cut_off_as_asked": (answers('{"x": "', (7, 320), "length"), "after 320 tokens by the limit 'max_new_tokens'"),
    "content_filter": (lambda c: c.start().end("content_filter"), "The server's content filter held back the reply"),
    "content_filter_in_the_middle": (answers('{"x": "a', reason="content_filter"), "content filter cut off the reply"),
    "prose_without_schema_is_cut_off": (answers("I would say " * 5000), "did not begin with a JSON object"),
    "prose_after_the_object": (answers(REPLY + "\n\nI hope that this helps. " * 500), "went on after its JSON object"),
    "a_tool_call_instead_of_a_reply": (
        lambda c: (
            c.start().event(delta(tool_calls=[{"function": {"name": "x", "arguments": REPLY}}])).end("tool_calls")
        ),
        "a tool call instead of a reply",
    ),
    "prose_after_the_object_in_a_channel": (
        answers("<|channel|>final<|message|>" + REPLY + " I hope that this helps." * 500),
        "went on after its JSON",
    ),
    "white_space_for_ever": (answers("{" + "\n  " * 5000), "long run of white space"),
}


@pytest.mark.parametrize("kind", NOTES)
def test_a_reply_that_ended_early_says_why(server: FaultyServer, model: MakeModel, kind: str) -> None:
    behaviour, words = NOTES[kind]
    server.behaviours = [behaviour]
    done = write(model())

    assert re.search(words, done.note), done.note
    assert len(done.text) < 2000, "the connection is closed, so that the server stops"
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("reply", "held"), [(REPLY, "schema"), ('{"y": "a"}', "json"), ("[]", "json"), ('{"x": "', "")]
)
def test_a_schema_that_was_accepted_and_ignored_is_not_recorded_as_enforced(
    server: FaultyServer, model: MakeModel, reply: str, held: str
) -> None:
    server.behaviours = [answers(reply)]
    assert write(model()).held == held


def test_a_whole_reply_has_no_note(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [answers(REPLY + "\n")]
    assert write(model()).note == ""


# -- errors in answers ---------------------------------------------------------------------------------------------

PAGE = b"<!doctype html>\n<html><head><title>Open WebUI</title></head></html>"
ERRORS: dict[str, tuple[Behaviour, type[ParleyError], str, int]] = {
    "web_page": (
        lambda c: c.start(200, "text/html").raw(PAGE), Unreachable, "answers with a web page; is base_url right", 1,
    ),
    "web_page_as_a_stream": (lambda c: c.start().raw(PAGE), Unreachable, "answers with a web page", 1),
    "web_page_of_a_proxy": (lambda c: c.start(502, "text/html").raw(PAGE), ServerFailed, "502.: Open WebUI$", 3),
    "error_in_a_200": (
        lambda c: c.start(200, "application/json").raw(b'{"error": {"message": "no slot", "type": "x"}}'),
        ServerFailed, "no slot", 3,
    ),
    "error_in_a_200_pretty": (
        lambda c: c.start(200, "application/json").raw(b'{\n  "detail": "no slot"\n}\n'), ServerFailed, "no slot", 3,
    ),
    "error_in_a_200_without_a_field": (lambda c: c.start().raw(b'{"error": "no slot"}\n'), ServerFailed, "no slot", 3),
    "error_event": (lambda c: c.start().event({"object": "error", "message": "no slot"}), ServerFailed, "no slot", 3),
    "error_event_of_its_own_name": (
        lambda c: c.start().raw(b'event: error\ndata: {"message": "no slot", "type": "x"}\n\n'),
        ServerFailed, "no slot", 3,
    ),
    "error_field": (
        lambda c: c.start().raw(b'error: {"code": 500, "message": "no slot"}\n\n'), ServerFailed, "500.: no slot", 3,
    ),
    "error_as_text": (lambda c: c.start().event("error: no slot"), ServerFailed, "no slot", 3),
    "error_in_an_error": (
        lambda c: c.start().event({"error": {"error": {"message": "no slot"}}}), ServerFailed, "writing: no slot", 3,
    ),
    "plain_text_instead_of_events": (
        lambda c: c.start(200, "text/plain").raw(b"Not Found"), ServerFailed, "writing: error: Not Found", 3,
    ),
    "no_content": (lambda c: c.start(204), ServerFailed, r"without a reply \(HTTP 204\)", 1),
    "choices_that_are_no_list": (
        lambda c: c.start().event({"choices": {"0": {}}}).event("[DONE]"),
        ServerFailed, "no event contains 'choices'", 1,
    ),
    "error_with_a_status": (
        lambda c: c.start().event({"error": {"code": 401, "message": "who?"}}), AccessDenied, "HTTP 401", 1,
    ),
    "error_as_finish_reason": (
        lambda c: c.start().event({"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "gone"}}]}),
        ServerFailed, "gone", 3,
    ),
    "rate_limit_within_a_stream": (
        lambda c: c.start().event({"error": {"message": "litellm.RateLimitError: x", "code": "429"}}),
        RateLimited, "HTTP 429.: litellm", 3,
    ),
    "litellm_wrong_key": (
        refuses(400, "Authentication Error, LiteLLM Virtual Key expected. Received=sk-abcdef, expected 'sk-'."),
        AccessDenied, r"refuses model or key \(HTTP 400\).*Received=\[key\], expected", 1,
    ),
    "litellm_wrong_model": (
        refuses(400, "litellm.BadRequestError: Invalid model name passed in model=org/m. Call `/v1/models`"),
        AccessDenied, "refuses model or key .*check 'model_name' and 'api_key': litellm", 1,
    ),
    "wrong_model_by_another_proxy": (
        refuses(422, "The model `org/m` does not exist"), AccessDenied, "refuses model or key", 1,
    ),
    "wrong_key_at_another_service": (
        refuses(400, "API key not valid. Please pass a valid API key."), AccessDenied, "refuses model or key", 1,
    ),
    "content_filter_of_the_prompt": (
        refuses(400, "The response was filtered due to the prompt triggering our content management policy"),
        ServerFailed, "content filter .* refuses the prompt", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_within_an_answer_is_shown(server: FaultyServer, model: MakeModel, kind: str) -> None:
    behaviour, error, words, requests = ERRORS[kind]
    server.behaviours = [behaviour]
    with pytest.raises(error, match=words) as raised:
        write(model(retries=2))
    assert type(raised.value) is error
    assert len(server.calls) == requests


def test_heartbeats_do_not_keep_a_silent_server_alive(server: FaultyServer, model: MakeModel) -> None:
    def beat(call: Call) -> None:
        call.start().say('{"x"')
        while True:  # until the client hangs up
            call.event({})

    server.behaviours = [beat]
    with pytest.raises(TooSlow, match=r"wrote nothing more for 0\.3 s"):
        write(model(timeouts={"between_tokens": 0.3}))
    server.wait_idle()


@pytest.mark.parametrize("behaviour", [lambda c: c.start(200, "text/html").raw(PAGE), refuses(404)])
def test_an_address_without_v1_gets_a_hint(server: FaultyServer, model: MakeModel, behaviour: Behaviour) -> None:
    server.behaviours = [behaviour]
    with pytest.raises((Unreachable, WeightsNotFound), match=r"does base_url end in /v1\?"):
        write(model(base_url=server.base_url.removesuffix("/v1")))
    assert len(server.calls) == 1


# -- requests that are refused -------------------------------------------------------------------------------------


def only_if(accepts: Callable[[dict[str, Any]], bool], refusal: Behaviour, reply: str = REPLY) -> Behaviour:
    """Answer requests that are accepted, and refuse the others."""
    return lambda call: (answers(reply) if accepts(call.body) else refusal)(call)


def form(body: dict[str, Any]) -> str:
    return str(body.get("response_format", {}).get("type", "none"))


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("max_tokens must be in the range [1, 256]", 256),
        ("Range of max_tokens should be [1, 256]", 256),
        ("max_tokens is too large: 320. This model supports at most 256 completion tokens.", 256),
        ("max_tokens: 320 > 256, which is the maximum allowed number of output tokens for m-20240620", 256),
        ("`max_new_tokens` must be <= 256. Given: 320", 256),
        ("'max_completion_tokens' must be between 16 and 256.", 256),
    ],
)  # fmt: skip
def test_max_tokens_out_of_range(server: FaultyServer, model: MakeModel, words: str, most: int) -> None:
    server.behaviours = [only_if(lambda body: body["max_tokens"] <= most, refuses(400, words))]
    far = model()
    assert write(far, asking(CASES)).text == REPLY
    first, second = (call.body for call in server.calls)
    assert second == {**first, "max_tokens": most}, "other settings are kept"
    write(far, asking(CASES))
    assert len(server.calls) == 3, "the range is remembered"


def test_500_names_response_format(server: FaultyServer, model: MakeModel) -> None:
    words = "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text'\"}]"
    server.behaviours = [only_if(lambda body: form(body) != "json_schema", refuses(500, words))]
    far = model(retries=0)
    assert write(far).held == "json"
    assert "seed" in server.calls[-1].body
    server.behaviours = [refuses(500, words)]
    with pytest.raises(ServerFailed):
        write(far, asking(None))


@pytest.mark.parametrize("words", ["Failed to initialize samplers", "Bad request 7f0000aa", ""])
def test_vague_400_from_the_schema(server: FaultyServer, model: MakeModel, words: str) -> None:
    server.behaviours = [only_if(lambda body: form(body) != "json_schema", refuses(400, words))]
    far = model()
    done = write(far, asking(CASES))
    assert (done.held, done.estimated) == ("json", False)
    assert {"seed", "stream_options", "temperature", "top_k"} <= server.calls[-1].body.keys()


def test_vague_400_from_a_setting_restores_the_schema(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [only_if(lambda body: "seed" not in body, refuses(400, "bad request"))]
    assert write(model(), asking(CASES)).held == "schema"
    assert {"temperature", "response_format"} <= server.calls[-1].body.keys()
    assert form(server.calls[-1].body) == "json_schema"


ROLES = [
    "Jinja Exception: After the optional system message, conversation roles must alternate user and assistant roles.",
    "Only user, assistant and tool roles are supported, got system.",
    "System role not supported",
]


@pytest.mark.parametrize("words", ROLES)
@pytest.mark.parametrize("status", [400, 500, 200])
def test_a_template_that_refuses_roles_gets_no_system_message_whatever_the_status(
    server: FaultyServer, model: MakeModel, words: str, status: int
) -> None:
    def refuse(call: Call) -> None:
        if status == 200:
            call.start().event({"error": {"code": "server_error", "message": words}})
        else:
            call.refuse(status, words)

    server.behaviours = [only_if(lambda body: body["messages"][0]["role"] != "system", refuse)]
    messages: tuple[Message, ...] = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"})
    far = model(retries=0)
    assert write(far, GenerationRequest(messages, grammar=Grammar(schema=SCHEMA))).held == "schema"
    assert server.calls[-1].body["messages"] == [{"role": "user", "content": "Be brief.\n\nHi"}]
    assert len(server.calls) == 2


@pytest.mark.parametrize("words", ["'response_format.type' must be 'json_schema' or 'text'"])
def test_a_server_that_knows_schemas_only_gets_no_json_mode(server: FaultyServer, model: MakeModel, words: str) -> None:
    def accepts(body: dict[str, Any]) -> bool:
        return form(body) == "none" or (form(body) == "json_schema" and "anyOf" not in str(body["response_format"]))

    server.behaviours = [only_if(accepts, refuses(400, words))]
    done = write(model(), asking({"anyOf": [{"type": "null"}, SCHEMA]}))
    assert (done.text, done.held, form(server.calls[-1].body)) == (REPLY, "", "none")


def test_a_setting_that_is_off_is_left_out_where_its_name_is_refused(server: FaultyServer, model: MakeModel) -> None:
    local = {"top_k", "min_p", "repetition_penalty", "repeat_penalty"}
    server.behaviours = [
        only_if(lambda body: not local & body.keys(), refuses(400, "Unrecognized request argument supplied: top_k"))
    ]
    far = model()
    write(far)
    assert len(server.calls) == 2, "all that say nothing are left out together"
    server.behaviours = [answers(REPLY)]
    write(far, asking(top_k=7))
    assert server.calls[-1].body["top_k"] == 7


def test_only_one_of_two_settings_is_left_out_if_either_will_do(server: FaultyServer, model: MakeModel) -> None:
    words = "`temperature` and `top_p` cannot both be specified for this model"
    server.behaviours = [only_if(lambda body: not {"temperature", "top_p"} <= body.keys(), refuses(400, words))]
    write(model())
    assert "temperature" in server.calls[-1].body


def test_a_setting_that_is_not_honoured_is_reported(
    server: FaultyServer, model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviours = [only_if(lambda body: "top_k" not in body, refuses(400, "unknown field top_k"))]
    with caplog.at_level(logging.WARNING):
        write(model(), asking(top_k=5))
    assert "omitted: top_k" in caplog.text


def test_a_server_that_cannot_stream_is_asked_for_whole_answers(server: FaultyServer, model: MakeModel) -> None:
    refusal = refuses(400, "Unsupported value: 'stream' does not support true with this model.")
    server.behaviours = [
        lambda call: (refusal if "stream" in call.body else sends("whole_answer", REPLY))(call),
    ]
    assert write(model()).text == REPLY
    assert len(server.calls) == 2
    assert {"seed", "response_format"} <= server.calls[-1].body.keys()


def test_a_vague_message_is_understood_by_its_param(server: FaultyServer, model: MakeModel) -> None:
    error = {"error": {"message": "Param Incorrect", "param": "seed", "code": "400"}}
    refusal: Behaviour = lambda c: c.start(400, "application/json").raw(json.dumps(error).encode())  # noqa: E731
    server.behaviours = [only_if(lambda body: "seed" not in body, refusal)]
    write(model())
    assert len(server.calls) == 2
    assert {"top_k", "response_format"} <= server.calls[-1].body.keys()


def test_empty_assistant_message(server: FaultyServer, model: MakeModel) -> None:
    messages: tuple[Message, ...] = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": " \n"},
        {"role": "user", "content": "Well?"},
    )
    write(model(), GenerationRequest(messages))
    assert server.calls[0].body["messages"] == [{"role": "user", "content": "Hi\n\nWell?"}]


@pytest.mark.parametrize("words", ["Loading model", "Model org/m is currently loading"])
def test_503_loading_model(server: FaultyServer, model: MakeModel, words: str) -> None:
    server.behaviours = [refuses(503, words)] * 20 + [answers(REPLY)]
    far, stream = model(retries=0), TokenStream()
    far.generate(asking(), stream)
    assert "".join(stream) == REPLY
    assert stream.stage == "loading"
    assert len(server.calls) == 21


def test_503_loading_model_for_too_long(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [refuses(503, "Loading model")]
    with pytest.raises(TooSlow, match=r"still loading the model after 0\.4 s"):
        write(model(retries=3, timeouts={"first_token": 0.4}))
    assert len(server.calls) > 4


# -- thinking ------------------------------------------------------------------------------------------------------


def test_reasoning_server_with_thinking_0(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [sends("reasoning_content", REPLY)]
    far = model()
    write(far)
    assert "chat_template_kwargs" not in server.calls[0].body
    write(far)
    body = server.calls[1].body
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert body["reasoning_effort"] == "none"
    assert body["max_tokens"] > server.calls[0].body["max_tokens"], "there is room for thoughts on top of the reply"
    write(far, asking(thinking=500))
    assert "chat_template_kwargs" not in server.calls[2].body


def test_a_server_that_cannot_be_asked_not_to_think_still_gets_all_settings(
    server: FaultyServer, model: MakeModel
) -> None:
    words = "reasoning_effort: Input should be 'low', 'medium' or 'high'"
    server.behaviours = [
        lambda call: (refuses(400, words) if "reasoning_effort" in call.body else sends("reasoning", REPLY))(call)
    ]
    far = model()
    write(far)
    assert write(far).text == REPLY
    assert {"chat_template_kwargs", "seed", "response_format"} <= server.calls[-1].body.keys()


def test_room_grows_while_all_of_it_goes_into_thinking(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [only_reasoning]
    far = model()
    for _ in range(8):
        write(far)
    limits = [call.body["max_tokens"] for call in server.calls]
    assert limits == sorted(limits)
    assert limits[0] < limits[1] < limits[2] < limits[-1] == limits[-2] < 32_768


def test_extra_body_is_sent_with_every_request_and_wins(server: FaultyServer, model: MakeModel) -> None:
    server.behaviours = [sends("reasoning", REPLY)]
    far = model(extra_body={"chat_template_kwargs": {"enable_thinking": True}, "top_k": -1})
    for _ in range(2):
        write(far)
    for call in server.calls:
        assert call.body["chat_template_kwargs"] == {"enable_thinking": True}
        assert call.body["top_k"] == -1


@pytest.mark.parametrize(
    ("value", "words"),
    [({"stream": False}, "'stream' is set by Parley"), ({"x": float("nan")}, "as in JSON"), (3, "extra_body")],
)
def test_an_extra_body_that_cannot_be_sent_is_refused(value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_spec("far", {"type": "openai", "model_name": "m", "base_url": "http://h/v1", "extra_body": value})


def test_models_with_other_extra_fields_are_not_aliases() -> None:
    entry = {"type": "openai", "model_name": "m", "base_url": "http://h/v1"}
    plain, quiet = parse_spec("a", entry), parse_spec("b", {**entry, "extra_body": {"reasoning_effort": "none"}})
    assert plain.weights != quiet.weights
    assert json.dumps(quiet.model_dump(mode="json"))
