"""The official Gemini SDK, unmodified, against a gateway with a mock provider behind it.

Run by `cargo xtask sdk`, which sets FLOWPILOT_BASE_URL and FLOWPILOT_API_KEY and compares the books afterwards.
Each test asks a model of every provider, under the version of the API that the SDK takes and under the older one.
"""

import asyncio
import json
import os
import unittest

from google import genai
from google.genai import errors, types

BASE_URL = os.environ["FLOWPILOT_BASE_URL"].removesuffix("/v1")
API_KEY = os.environ["FLOWPILOT_API_KEY"]
MODELS = ["models/gemini/gemini-2.5-flash", "models/anthropic/claude-haiku-4-5", "models/mock/gpt-4o-mini"]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def client(api_key=API_KEY, version=None):
    options = types.HttpOptions(base_url=BASE_URL, api_version=version)
    return genai.Client(api_key=api_key, http_options=options)


def weather(input: str) -> str:
    """The weather of a place."""
    return "rain"


class Generate(unittest.TestCase):
    def setUp(self):
        # A client that nobody holds closes its connections.
        self.client = client()
        self.models = self.client.models

    def test_a_whole_answer_has_text_and_usage(self):
        for version in [None, "v1beta"]:
            for model in MODELS:
                versioned = client(version=version)
                answer = versioned.models.generate_content(
                    model=model, contents=f"gemini whole {version} [[thoughts=7]] [[cached=2]] [[tokens=9]]"
                )
                self.assertEqual(len(answer.text.split(" ")), 9)
                self.assertEqual(answer.candidates[0].finish_reason, types.FinishReason.STOP)
                usage = answer.usage_metadata
                self.assertEqual((usage.candidates_token_count, usage.thoughts_token_count), (9, 7))
                self.assertEqual(usage.cached_content_token_count, 2)
                self.assertEqual(usage.total_token_count, usage.prompt_token_count + 16)

    def test_a_stream_brings_its_text_in_pieces_and_its_usage_at_the_end(self):
        for model in MODELS:
            chunks = list(self.models.generate_content_stream(model=model, contents="gemini stream [[events=5]]"))
            pieces = [chunk.text for chunk in chunks if chunk.text]
            self.assertEqual(len(pieces), 5)
            self.assertEqual(chunks[-1].usage_metadata.candidates_token_count, 5)

    def test_thoughts_are_shown_when_asked_for(self):
        config = types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024),
            max_output_tokens=4096,
        )
        for model in MODELS[:2]:
            answer = self.models.generate_content(
                model=model, contents="gemini thinks [[thoughts=3]] [[events=2]]", config=config
            )
            self.assertTrue(answer.candidates[0].content.parts[0].thought)

    def test_a_function_is_called_by_the_sdk_and_its_result_answered(self):
        for model in MODELS:
            config = types.GenerateContentConfig(tools=[weather])
            answer = self.models.generate_content(
                model=model, contents="gemini weather [[tool=weather]]", config=config
            )
            self.assertTrue(answer.text)
            self.assertEqual(len(answer.automatic_function_calling_history), 3)

    def test_a_streamed_function_call_is_whole(self):
        for model in MODELS:
            config = types.GenerateContentConfig(
                tools=[weather],
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            )
            stream = self.models.generate_content_stream(
                model=model, contents="gemini streamed weather [[tool=weather]]", config=config
            )
            calls = [call for chunk in stream for call in chunk.function_calls or []]
            self.assertEqual([call.name for call in calls], ["weather"])
            self.assertIn("input", calls[0].args)

    def test_structured_output_can_be_asked_for(self):
        for model in MODELS:
            for name in ["response_schema", "response_json_schema"]:
                config = {"response_mime_type": "application/json", name: SCHEMA}
                answer = self.models.generate_content(
                    model=model, contents=f"gemini structured {name} [[json=city]]", config=config
                )
                self.assertTrue(json.loads(answer.text)["city"])

    def test_texts_become_vectors(self):
        for model in ["models/gemini/gemini-embedding-001", "models/mock/text-embedding-3-small"]:
            answer = self.models.embed_content(
                model=model,
                contents=["gemini one", "gemini two"],
                config=types.EmbedContentConfig(output_dimensionality=4),
            )
            self.assertEqual([len(vector.values) for vector in answer.embeddings], [4, 4])

    def test_tokens_are_counted(self):
        for model in MODELS:
            self.assertEqual(self.models.count_tokens(model=model, contents="x" * 40).total_tokens, 10)

    def test_the_asynchronous_client_works_too(self):
        async def run():
            stream = await self.client.aio.models.generate_content_stream(
                model=MODELS[1], contents="gemini asynchronous [[events=4]]"
            )
            return [chunk.text async for chunk in stream if chunk.text]

        self.assertEqual(len(asyncio.run(run())), 4)


class Models(unittest.TestCase):
    def test_models_are_listed_and_found(self):
        sdk = client()
        self.assertIn("models/gemini-2.5-flash", [model.name for model in sdk.models.list()])
        self.assertEqual(sdk.models.get(model="default").name, "models/default")


class Errors(unittest.TestCase):
    def refused(self, error, model=MODELS[0], text="x", **options):
        sdk = client(**options)
        with self.assertRaises(error) as raised:
            sdk.models.generate_content(model=model, contents=text)
        return raised.exception

    def test_each_mistake_is_told_as_the_provider_tells_it(self):
        bad_key = self.refused(errors.ClientError, api_key="fp_nobody")
        self.assertEqual((bad_key.code, bad_key.status), (400, "INVALID_ARGUMENT"))
        self.assertEqual(self.refused(errors.ClientError, model="nope").status, "NOT_FOUND")
        self.assertEqual(self.refused(errors.ClientError, model="mock/unpriced").code, 400)
        for model in MODELS:
            limited = self.refused(errors.ClientError, model=model, text="gemini [[status=429]]")
            self.assertEqual((limited.code, limited.status), (429, "RESOURCE_EXHAUSTED"))
            self.refused(errors.ServerError, model=model, text="gemini [[status=500]]")

    def test_a_stream_that_breaks_off_raises(self):
        # Gemini tells its usage with every event, so that the books agree even then.
        sdk = client()
        with self.assertRaises(errors.APIError):
            list(
                sdk.models.generate_content_stream(
                    model=MODELS[0], contents="gemini broken [[events=9]] [[cut=5]]"
                )
            )


if __name__ == "__main__":
    unittest.main(verbosity=2)
