"""The official OpenAI SDK, unmodified, against a gateway with a mock provider behind it.

Run by `cargo xtask sdk`, which sets FLOWPILOT_BASE_URL and FLOWPILOT_API_KEY and compares the books afterwards.
The model `default` is Gemini's, `mock/gpt-4o-mini` one behind an OpenAI-compatible address, the last Anthropic's.
"""

import asyncio
import json
import os
import unittest

import openai

BASE_URL = os.environ["FLOWPILOT_BASE_URL"]
API_KEY = os.environ["FLOWPILOT_API_KEY"]
MODELS = ["default", "mock/gpt-4o-mini", "anthropic/claude-haiku-4-5"]
VECTORS = ["mock/text-embedding-3-small", "gemini/gemini-embedding-001"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"input": {"type": "string"}}},
    },
}


def client(**options):
    return openai.OpenAI(**{"base_url": BASE_URL, "api_key": API_KEY, "max_retries": 0, **options})


def ask(text):
    return [{"role": "user", "content": text}]


class Chat(unittest.TestCase):
    def setUp(self):
        self.completions = client().chat.completions

    def test_a_whole_answer_has_text_and_usage(self):
        for model in MODELS:
            answer = self.completions.create(
                model=model, messages=ask("whole [[thoughts=7]] [[cached=2]] [[tokens=9]]")
            )
            self.assertEqual(answer.choices[0].finish_reason, "stop")
            self.assertEqual(len(answer.choices[0].message.content.split(" ")), 9)
            usage = answer.usage
            self.assertEqual(usage.completion_tokens, 16)
            self.assertEqual(usage.completion_tokens_details.reasoning_tokens, 7)
            self.assertEqual(usage.prompt_tokens_details.cached_tokens, 2)
            self.assertEqual(usage.total_tokens, usage.prompt_tokens + 16)

    def test_a_stream_brings_its_text_in_pieces_and_usage_only_when_asked(self):
        for model in MODELS:
            for options in [openai.NOT_GIVEN, {"include_usage": True}]:
                chunks = list(
                    self.completions.create(
                        model=model,
                        messages=ask(f"stream {options} [[events=5]]"),
                        stream=True,
                        stream_options=options,
                    )
                )
                text = [c.choices[0].delta.content for c in chunks if c.choices]
                self.assertEqual(len([piece for piece in text if piece]), 5)
                usage = [c.usage for c in chunks if c.usage]
                self.assertEqual(len(usage), 0 if options is openai.NOT_GIVEN else 1)

    def test_a_tool_is_called_and_its_result_answered(self):
        for model in MODELS:
            messages = ask("What is the weather? [[tool=weather]]")
            first = self.completions.create(model=model, messages=messages, tools=[WEATHER])
            self.assertEqual(first.choices[0].finish_reason, "tool_calls")
            call = first.choices[0].message.tool_calls[0]
            self.assertEqual(call.function.name, "weather")
            self.assertIn("input", json.loads(call.function.arguments))
            messages.append(first.choices[0].message)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
            second = self.completions.create(model=model, messages=messages, tools=[WEATHER])
            self.assertEqual(second.choices[0].finish_reason, "stop")
            self.assertTrue(second.choices[0].message.content)

    def test_a_streamed_tool_call_is_put_together(self):
        for model in MODELS:
            with self.completions.stream(
                model=model, messages=ask("Streamed weather? [[tool=weather]]"), tools=[WEATHER]
            ) as stream:
                answer = stream.get_final_completion()
            call = answer.choices[0].message.tool_calls[0]
            self.assertEqual(call.function.name, "weather")
            self.assertIn("input", json.loads(call.function.arguments))

    def test_an_identical_request_is_a_hit(self):
        for model in MODELS:
            raw = self.completions.with_raw_response
            first = raw.create(model=model, messages=ask("twice"))
            self.assertEqual(first.headers["x-flowpilot-cache"], "miss")
            # An answer is stored behind the client's back: the very next request may be too early.
            for _ in range(50):
                again = raw.create(model=model, messages=ask("twice"))
                if again.headers["x-flowpilot-cache"] != "miss":
                    break
            self.assertEqual(again.headers["x-flowpilot-cache"], "exact")
            texts = [answer.parse().choices[0].message.content for answer in (first, again)]
            self.assertEqual(texts[0], texts[1])
            for answer in (first, again):
                self.assertTrue(answer.headers["x-request-id"])
                self.assertTrue(answer.headers["x-flowpilot-provider"])

    def test_the_asynchronous_client_works_too(self):
        async def run():
            async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY) as sdk:
                stream = await sdk.chat.completions.create(
                    model="default", messages=ask("asynchronous [[events=4]]"), stream=True
                )
                return [c.choices[0].delta.content async for c in stream if c.choices]

        self.assertEqual(len([piece for piece in asyncio.run(run()) if piece]), 4)


class OtherForms(unittest.TestCase):
    def test_texts_become_vectors_in_both_ways_of_writing_them(self):
        for model in VECTORS:
            for options in [{}, {"encoding_format": "float"}]:
                answer = client().embeddings.create(
                    model=model, input=["openai one", "openai two"], dimensions=4, **options
                )
                self.assertEqual([len(vector.embedding) for vector in answer.data], [4, 4])
                self.assertIsInstance(answer.data[0].embedding[0], float)

    def test_structured_output_can_be_asked_for(self):
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        for model in MODELS:
            answer = client().chat.completions.create(
                model=model,
                messages=ask("openai structured [[json=city]]"),
                response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
            )
            self.assertTrue(json.loads(answer.choices[0].message.content)["city"])

    def test_the_older_completions_are_answered(self):
        for model in MODELS:
            answer = client().completions.create(model=model, prompt="openai older [[events=3]]")
            self.assertEqual(len(answer.choices[0].text.split(" ")), 3)
            chunks = client().completions.create(
                model=model, prompt="openai older stream [[events=3]]", stream=True
            )
            self.assertEqual(len([c for c in chunks if c.choices and c.choices[0].text]), 3)


class Responses(unittest.TestCase):
    def setUp(self):
        self.responses = client().responses

    def test_a_whole_response_has_text_and_usage(self):
        for model in MODELS:
            answer = self.responses.create(
                model=model, input="response [[thoughts=7]] [[cached=2]] [[tokens=9]]"
            )
            self.assertEqual((answer.status, answer.object), ("completed", "response"))
            self.assertEqual(len(answer.output_text.split(" ")), 9)
            usage = answer.usage
            self.assertEqual(usage.output_tokens, 16)
            self.assertEqual(usage.output_tokens_details.reasoning_tokens, 7)
            self.assertEqual(usage.input_tokens_details.cached_tokens, 2)
            self.assertEqual(usage.total_tokens, usage.input_tokens + 16)

    def test_a_streamed_response_is_put_together(self):
        for model in MODELS:
            with self.responses.stream(model=model, input="streamed response [[events=5]]") as stream:
                events = list(stream)
                final = stream.get_final_response()
            self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
            pieces = [e.delta for e in events if e.type == "response.output_text.delta"]
            self.assertEqual(len(pieces), 5)
            self.assertEqual("".join(pieces), final.output_text)

    def test_a_function_is_called_and_its_result_answered(self):
        tools = [{"type": "function", **WEATHER["function"]}]
        for model in MODELS:
            turns = ask("What is the weather, in items? [[tool=weather]]")
            first = self.responses.create(model=model, input=turns, tools=tools)
            (call,) = [item for item in first.output if item.type == "function_call"]
            self.assertEqual(call.name, "weather")
            self.assertIn("input", json.loads(call.arguments))
            turns += first.output
            turns.append({"type": "function_call_output", "call_id": call.call_id, "output": "rain"})
            second = self.responses.create(model=model, input=turns, tools=tools)
            self.assertTrue(second.output_text)

    def test_a_response_that_was_not_kept_cannot_be_gone_on_from(self):
        with self.assertRaises(openai.BadRequestError) as raised:
            self.responses.create(model="default", input="x", previous_response_id="resp_1")
        self.assertEqual(raised.exception.param, "previous_response_id")


class Models(unittest.TestCase):
    def test_models_are_listed_and_found(self):
        names = [model.id for model in client().models.list()]
        self.assertIn("default", names)
        self.assertEqual(client().models.retrieve("default").id, "default")


class Errors(unittest.TestCase):
    def refused(self, error, model="default", text="x", **options):
        with self.assertRaises(error) as raised:
            client(**options).chat.completions.create(model=model, messages=ask(text))
        return raised.exception

    def test_each_mistake_is_the_exception_that_the_sdk_has_for_it(self):
        self.assertEqual(
            self.refused(openai.AuthenticationError, api_key="fp_nobody").code, "invalid_api_key"
        )
        self.assertEqual(self.refused(openai.NotFoundError, model="nope").code, "model_not_found")
        unpriced = self.refused(openai.BadRequestError, model="mock/unpriced")
        self.assertEqual((unpriced.code, unpriced.param), ("model_unpriced", "model"))
        for model in MODELS:
            limited = self.refused(openai.RateLimitError, model=model, text="[[status=429]]")
            self.assertEqual(limited.response.headers["retry-after"], "1")
            self.refused(openai.InternalServerError, model=model, text="[[status=500]]")

    def test_a_rate_limit_is_tried_again_after_the_time_it_names(self):
        error = self.refused(openai.RateLimitError, text="again [[status=429]]", max_retries=1)
        self.assertEqual(error.response.request.headers["x-stainless-retry-count"], "1")

    def test_a_stream_that_breaks_off_raises(self):
        stream = client().chat.completions.create(
            model="default", messages=ask("broken [[events=9]] [[cut=3]]"), stream=True
        )
        pieces = []
        with self.assertRaises(openai.APIError):
            for chunk in stream:
                pieces.append(chunk)
        self.assertGreaterEqual(len(pieces), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
