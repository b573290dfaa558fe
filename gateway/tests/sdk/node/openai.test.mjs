// The official OpenAI SDK for Node, unmodified, against a gateway with a mock provider behind it.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { API_KEY, BASE_URL, CITY, MODELS, PLACE, TELLING, VECTORS, ask, collect, refused, say, words } from "./common.mjs";

const client = (options) => new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0, ...options });
const chat = client().chat.completions;
const WEATHER = { type: "function", function: { name: "weather", description: "The weather", parameters: PLACE } };

test("a whole answer has text and usage", async () => {
  for (const model of MODELS) {
    const answer = await chat.create({ model, messages: ask("openai [[thoughts=7]] [[cached=2]] [[tokens=9]]") });
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(words(answer.choices[0].message.content), 9);
    assert.equal(answer.usage.completion_tokens, 16);
    assert.equal(answer.usage.completion_tokens_details.reasoning_tokens, 7);
    assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 2);
    assert.ok(answer._request_id);
  }
});

test("a stream brings its text in pieces and usage only when asked", async () => {
  for (const model of MODELS) {
    for (const options of [undefined, { include_usage: true }]) {
      const messages = ask(`openai stream ${Boolean(options)} [[events=5]]`);
      const chunks = await collect(await chat.create({ model, messages, stream: true, stream_options: options }));
      assert.equal(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length, 5);
      assert.equal(chunks.filter((chunk) => chunk.usage).length, options ? 1 : 0);
    }
  }
});

test("a tool is called and its result answered, also in a stream", async () => {
  for (const model of MODELS) {
    for (const stream of [false, true]) {
      const messages = ask(`openai weather ${stream} [[tool=weather]]`);
      const request = { model, messages, tools: [WEATHER] };
      const first = stream ? await chat.stream(request).finalChatCompletion() : await chat.create(request);
      assert.equal(first.choices[0].finish_reason, "tool_calls");
      const [call] = first.choices[0].message.tool_calls;
      assert.equal(call.function.name, "weather");
      assert.ok(JSON.parse(call.function.arguments).input);
      messages.push(first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" });
      const second = await chat.create({ model, messages, tools: [WEATHER] });
      assert.equal(second.choices[0].finish_reason, "stop");
    }
  }
});

test("structured output is parsed", async () => {
  for (const model of MODELS) {
    const response_format = { type: "json_schema", json_schema: { name: "place", schema: CITY, strict: true } };
    const answer = await chat.create({ model, messages: ask("openai structured [[json=city]]"), response_format });
    assert.ok(JSON.parse(answer.choices[0].message.content).city);
  }
});

test("texts become vectors in both ways of writing them", async () => {
  for (const model of VECTORS) {
    for (const encoding_format of [undefined, "float"]) {
      const input = [say(`openai ${encoding_format} one`), say("two")];
      const answer = await client().embeddings.create({ model, input, dimensions: 4, encoding_format });
      assert.deepEqual(answer.data.map((vector) => vector.embedding.length), [4, 4]);
      assert.equal(typeof answer.data[0].embedding[0], "number");
    }
  }
});

test("models are listed and found", async () => {
  const names = (await collect(client().models.list())).map((model) => model.id);
  assert.ok(names.includes("default"));
  assert.equal((await client().models.retrieve("default")).id, "default");
});

test("each mistake is the error that the SDK has for it", async () => {
  const create = (options, model, text) =>
    refused(client(options).chat.completions.create({ model, messages: ask(text) }));
  assert.equal((await create({ apiKey: "fp_nobody" }, "default", "x")).code, "invalid_api_key");
  assert.ok((await create({ apiKey: "fp_nobody" }, "default", "x")) instanceof OpenAI.AuthenticationError);
  assert.ok((await create({}, "nope", "x")) instanceof OpenAI.NotFoundError);
  assert.ok((await create({}, "mock/unpriced", "x")) instanceof OpenAI.BadRequestError);
  for (const model of MODELS) {
    const limited = await create({}, model, "openai [[status=429]]");
    assert.ok(limited instanceof OpenAI.RateLimitError);
    assert.equal(limited.headers.get("retry-after"), "1");
    assert.ok((await create({}, model, "openai [[status=500]]")) instanceof OpenAI.InternalServerError);
  }
});

test("a stream that breaks off raises", async () => {
  const messages = ask("openai broken [[events=9]] [[cut=5]]");
  const stream = await chat.create({ model: TELLING, messages, stream: true });
  assert.ok((await refused(collect(stream))) instanceof OpenAI.APIError);
});
