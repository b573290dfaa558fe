"""The official Anthropic SDK, unmodified, against a gateway with a mock provider behind it.

Run by `cargo xtask sdk`, which sets FLOWPILOT_BASE_URL and FLOWPILOT_API_KEY and compares the books afterwards.
Each test asks a model of every provider.
"""

import asyncio
import json
import os
import unittest

import anthropic

BASE_URL = os.environ["FLOWPILOT_BASE_URL"].removesuffix("/v1")
API_KEY = os.environ["FLOWPILOT_API_KEY"]
MODELS = ["anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "mock/gpt-4o-mini"]
WEATHER = {
    "name": "weather",
    "description": "The weather of a place",
    "input_schema": {"type": "object", "properties": {"input": {"type": "string"}}},
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def client(**options):
    return anthropic.Anthropic(**{"base_url": BASE_URL, "api_key": API_KEY, "max_retries": 0, **options})


def ask(text):
    return [{"role": "user", "content": text}]


class Messages(unittest.TestCase):
    def setUp(self):
        self.messages = client().messages

    def test_a_whole_answer_has_text_and_usage(self):
        for model in MODELS:
            answer = self.messages.create(
                model=model, max_tokens=99, messages=ask("anthropic whole [[thoughts=7]] [[cached=2]] [[tokens=9]]")
            )
            self.assertEqual(answer.stop_reason, "end_turn")
            self.assertEqual(len(answer.content[0].text.split(" ")), 9)
            self.assertEqual(answer.usage.output_tokens, 16)
            self.assertEqual(answer.usage.cache_read_input_tokens, 2)
            self.assertTrue(answer._request_id)

    def test_a_stream_brings_its_text_in_pieces_and_its_usage_at_the_end(self):
        for model in MODELS:
            with self.messages.stream(
                model=model, max_tokens=99, messages=ask("anthropic stream [[events=5]]")
            ) as stream:
                pieces = list(stream.text_stream)
                answer = stream.get_final_message()
            self.assertEqual(len(pieces), 5)
            self.assertEqual(answer.content[0].text, "".join(pieces))
            self.assertEqual(answer.usage.output_tokens, 5)
            self.assertGreater(answer.usage.input_tokens, 0)

    def test_thoughts_are_shown_when_asked_for(self):
        for model in MODELS[:2]:
            for stream in [False, True]:
                options = {
                    "model": model,
                    "max_tokens": 2048,
                    "messages": ask(f"anthropic thinks {stream} [[thoughts=3]] [[events=2]]"),
                    "thinking": {"type": "enabled", "budget_tokens": 1024},
                }
                if stream:
                    with self.messages.stream(**options) as events:
                        answer = events.get_final_message()
                else:
                    answer = self.messages.create(**options)
                self.assertEqual([block.type for block in answer.content], ["thinking", "text"])

    def test_a_tool_is_called_and_its_result_answered_also_in_a_stream(self):
        for model in MODELS:
            for stream in [False, True]:
                messages = ask(f"anthropic weather {stream} [[tool=weather]]")
                options = {"model": model, "max_tokens": 99, "tools": [WEATHER]}
                if stream:
                    with self.messages.stream(messages=messages, **options) as events:
                        first = events.get_final_message()
                else:
                    first = self.messages.create(messages=messages, **options)
                self.assertEqual(first.stop_reason, "tool_use")
                call = first.content[-1]
                self.assertEqual(call.name, "weather")
                self.assertIn("input", call.input)
                messages.append({"role": "assistant", "content": first.content})
                result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
                messages.append({"role": "user", "content": [result]})
                second = self.messages.create(messages=messages, **options)
                self.assertEqual(second.stop_reason, "end_turn")
                self.assertTrue(second.content[0].text)

    def test_structured_output_can_be_asked_for(self):
        for model in MODELS:
            answer = self.messages.create(
                model=model,
                max_tokens=99,
                messages=ask("anthropic structured [[json=city]]"),
                output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
            )
            self.assertTrue(json.loads(answer.content[0].text)["city"])

    def test_tokens_are_counted(self):
        for model in MODELS:
            counted = self.messages.count_tokens(model=model, messages=ask("x" * 40))
            self.assertEqual(counted.input_tokens, 10)

    def test_the_asynchronous_client_works_too(self):
        async def run():
            async with anthropic.AsyncAnthropic(base_url=BASE_URL, api_key=API_KEY) as sdk:
                async with sdk.messages.stream(
                    model=MODELS[1], max_tokens=99, messages=ask("anthropic asynchronous [[events=4]]")
                ) as stream:
                    return [piece async for piece in stream.text_stream]

        self.assertEqual(len(asyncio.run(run())), 4)


class Models(unittest.TestCase):
    def test_models_are_listed_and_found(self):
        self.assertIn("claude-haiku-4-5", [model.id for model in client().models.list()])
        self.assertEqual(client().models.retrieve("default").id, "default")


class Errors(unittest.TestCase):
    def refused(self, error, model=MODELS[0], text="x", **options):
        with self.assertRaises(error) as raised:
            client(**options).messages.create(model=model, max_tokens=9, messages=ask(text))
        return raised.exception

    def test_each_mistake_is_the_exception_that_the_sdk_has_for_it(self):
        self.refused(anthropic.AuthenticationError, api_key="fp_nobody")
        self.refused(anthropic.NotFoundError, model="nope")
        self.refused(anthropic.BadRequestError, model="mock/unpriced")
        for model in MODELS:
            limited = self.refused(anthropic.RateLimitError, model=model, text="anthropic [[status=429]]")
            self.assertEqual(limited.response.headers["retry-after"], "1")
            self.refused(anthropic.InternalServerError, model=model, text="anthropic [[status=500]]")

    def test_a_stream_that_breaks_off_raises(self):
        # Gemini tells its usage with every event, so that the books agree even then.
        with self.assertRaises(anthropic.APIError):
            with client().messages.stream(
                model=MODELS[1], max_tokens=99, messages=ask("anthropic broken [[events=9]] [[cut=5]]")
            ) as stream:
                list(stream.text_stream)


if __name__ == "__main__":
    unittest.main(verbosity=2)
