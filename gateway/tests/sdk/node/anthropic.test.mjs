// The official Anthropic SDK for Node, unmodified, against a gateway with a mock provider behind it.

import assert from "node:assert/strict";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { API_KEY, CITY, MODELS, ORIGIN, PLACE, TELLING, ask, collect, refused, words } from "./common.mjs";

const client = (options) => new Anthropic({ baseURL: ORIGIN, apiKey: API_KEY, maxRetries: 0, ...options });
const messagesApi = client().messages;
const WEATHER = { name: "weather", description: "The weather", input_schema: PLACE };

test("a whole answer has text and usage", async () => {
  for (const model of MODELS) {
    const messages = ask("anthropic [[thoughts=7]] [[cached=2]] [[tokens=9]]");
    const answer = await messagesApi.create({ model, max_tokens: 99, messages });
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(words(answer.content[0].text), 9);
    assert.equal(answer.usage.output_tokens, 16);
    assert.equal(answer.usage.cache_read_input_tokens, 2);
    assert.ok(answer._request_id);
  }
});

test("a stream brings its text in pieces and its usage at the end", async () => {
  for (const model of MODELS) {
    const stream = messagesApi.stream({ model, max_tokens: 99, messages: ask("anthropic stream [[events=5]]") });
    const pieces = [];
    stream.on("text", (piece) => pieces.push(piece));
    const answer = await stream.finalMessage();
    assert.equal(pieces.filter(Boolean).length, 5);
    assert.equal(answer.content[0].text, pieces.join(""));
    assert.equal(answer.usage.output_tokens, 5);
    assert.ok(answer.usage.input_tokens > 0);
  }
});

test("a tool is called and its result answered, also in a stream", async () => {
  for (const model of MODELS) {
    for (const stream of [false, true]) {
      const messages = ask(`anthropic weather ${stream} [[tool=weather]]`);
      const request = { model, max_tokens: 99, tools: [WEATHER], messages };
      const first = stream ? await messagesApi.stream(request).finalMessage() : await messagesApi.create(request);
      assert.equal(first.stop_reason, "tool_use");
      const call = first.content.at(-1);
      assert.equal(call.name, "weather");
      assert.ok(call.input.input);
      const result = { type: "tool_result", tool_use_id: call.id, content: "rain" };
      messages.push({ role: "assistant", content: first.content }, { role: "user", content: [result] });
      const second = await messagesApi.create(request);
      assert.equal(second.stop_reason, "end_turn");
    }
  }
});

test("structured output is parsed", async () => {
  for (const model of MODELS) {
    const output_config = { format: { type: "json_schema", schema: CITY } };
    const messages = ask("anthropic structured [[json=city]]");
    const answer = await messagesApi.create({ model, max_tokens: 99, messages, output_config });
    assert.ok(JSON.parse(answer.content[0].text).city);
  }
});

test("tokens are counted", async () => {
  for (const model of MODELS) {
    const counted = await messagesApi.countTokens({ model, messages: [{ role: "user", content: "x".repeat(40) }] });
    assert.equal(counted.input_tokens, 10);
  }
});

test("models are listed and found", async () => {
  const names = (await collect(client().models.list())).map((model) => model.id);
  assert.ok(names.includes("claude-haiku-4-5"));
  assert.equal((await client().models.retrieve("default")).id, "default");
});

test("each mistake is the error that the SDK has for it", async () => {
  const create = (options, model, text) =>
    refused(client(options).messages.create({ model, max_tokens: 9, messages: ask(text) }));
  assert.ok((await create({ apiKey: "fp_nobody" }, "default", "x")) instanceof Anthropic.AuthenticationError);
  assert.ok((await create({}, "nope", "x")) instanceof Anthropic.NotFoundError);
  assert.ok((await create({}, "mock/unpriced", "x")) instanceof Anthropic.BadRequestError);
  for (const model of MODELS) {
    const limited = await create({}, model, "anthropic [[status=429]]");
    assert.ok(limited instanceof Anthropic.RateLimitError);
    assert.equal(limited.headers.get("retry-after"), "1");
    assert.ok((await create({}, model, "anthropic [[status=500]]")) instanceof Anthropic.InternalServerError);
  }
});

test("a stream that breaks off raises", async () => {
  const messages = ask("anthropic broken [[events=9]] [[cut=5]]");
  const stream = await messagesApi.create({ model: TELLING, max_tokens: 99, messages, stream: true });
  assert.ok((await refused(collect(stream))) instanceof Anthropic.APIError);
});
