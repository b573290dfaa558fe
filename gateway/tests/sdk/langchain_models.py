"""LangChain with its packages for OpenAI, Anthropic and Gemini, unmodified, against a gateway with a mock provider.

Run by `cargo xtask sdk` once in the environment of each package, which FLOWPILOT_SUITE names; the tests are the same.
"""

import os
import unittest

BASE_URL = os.environ["FLOWPILOT_BASE_URL"]
ORIGIN = BASE_URL.removesuffix("/v1")
API_KEY = os.environ["FLOWPILOT_API_KEY"]
SUITE = os.environ["FLOWPILOT_SUITE"]
MODELS = ["mock/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"]
VECTORS = ["mock/text-embedding-3-small", "gemini/gemini-embedding-001"]
SCHEMA = {
    "title": "place",
    "description": "A place",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

if SUITE == "langchain-openai":
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    def chat(model, api_key=API_KEY):
        # For another address than OpenAI's own it asks for the usage of a stream only when it is told to.
        return ChatOpenAI(model=model, base_url=BASE_URL, api_key=api_key, max_retries=0, stream_usage=True)

    def vectors(model):
        # Its tokenizer is fetched from the network; without it the texts go as they are.
        return OpenAIEmbeddings(
            model=model, base_url=BASE_URL, api_key=API_KEY, dimensions=4, check_embedding_ctx_length=False
        )

elif SUITE == "langchain-anthropic":
    from langchain_anthropic import ChatAnthropic

    def chat(model, api_key=API_KEY):
        return ChatAnthropic(model=model, base_url=ORIGIN, api_key=api_key, max_retries=0, max_tokens=99)

    vectors = None

else:
    from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings

    def chat(model, api_key=API_KEY):
        return ChatGoogleGenerativeAI(
            model=f"models/{model}", base_url=ORIGIN, google_api_key=api_key, max_retries=1
        )

    def vectors(model):
        return GoogleGenerativeAIEmbeddings(
            model=f"models/{model}", base_url=ORIGIN, google_api_key=API_KEY, output_dimensionality=4
        )


def weather(input: str) -> str:
    """The weather of a place."""
    return "rain"


class LangChain(unittest.TestCase):
    def test_a_whole_answer_has_text_and_usage(self):
        for model in MODELS:
            answer = chat(model).invoke(f"{SUITE} whole [[thoughts=7]] [[tokens=9]]")
            self.assertEqual(len(answer.text.split(" ")), 9)
            self.assertEqual(answer.usage_metadata["output_tokens"], 16)
            self.assertGreater(answer.usage_metadata["input_tokens"], 0)

    def test_a_stream_brings_its_text_in_pieces_and_its_usage_once(self):
        for model in MODELS:
            chunks = list(chat(model).stream(f"{SUITE} stream [[events=5]]"))
            self.assertEqual(len([chunk for chunk in chunks if chunk.text]), 5)
            whole = chunks[0]
            for chunk in chunks[1:]:
                whole += chunk
            self.assertEqual(whole.usage_metadata["output_tokens"], 5)

    def test_a_tool_is_called_and_its_result_answered_also_in_a_stream(self):
        from langchain_core.messages import HumanMessage, ToolMessage

        for model in MODELS:
            for stream in [False, True]:
                offered = chat(model).bind_tools([weather])
                messages = [HumanMessage(f"{SUITE} weather {stream} [[tool=weather]]")]
                if stream:
                    chunks = list(offered.stream(messages))
                    first = chunks[0]
                    for chunk in chunks[1:]:
                        first += chunk
                else:
                    first = offered.invoke(messages)
                self.assertEqual([call["name"] for call in first.tool_calls], ["weather"])
                self.assertTrue(first.tool_calls[0]["args"]["input"])
                messages += [first, ToolMessage("rain", tool_call_id=first.tool_calls[0]["id"], name="weather")]
                self.assertTrue(offered.invoke(messages).text)

    def test_structured_output_is_parsed(self):
        for model in MODELS:
            structured = chat(model).with_structured_output(SCHEMA, method="json_schema")
            answer = structured.invoke(f"{SUITE} structured [[json=city]]")
            self.assertTrue(answer["city"])

    def test_texts_become_vectors(self):
        if vectors is None:
            self.skipTest("Anthropic has no embeddings")
        for model in VECTORS:
            answer = vectors(model).embed_documents([f"{SUITE} one", f"{SUITE} two"])
            self.assertEqual([len(vector) for vector in answer], [4, 4])

    def test_mistakes_are_errors(self):
        with self.assertRaises(Exception) as raised:
            chat(MODELS[0], api_key="fp_nobody").invoke("x")
        self.assertRegex(str(raised.exception), "40[01]")
        with self.assertRaises(Exception) as raised:
            chat("nope").invoke("x")
        self.assertIn("404", str(raised.exception))
        for model in MODELS:
            with self.assertRaises(Exception) as raised:
                chat(model).invoke(f"{SUITE} [[status=429]]")
            self.assertIn("429", str(raised.exception))


if __name__ == "__main__":
    unittest.main(verbosity=2)
