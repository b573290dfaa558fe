// The official Gemini SDK for Node, unmodified, against a gateway with a mock provider behind it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, GoogleGenAI } from "@google/genai";

import { API_KEY, CITY, MODELS, ORIGIN, PLACE, VECTORS, collect, refused, say, words } from "./common.mjs";

const client = (apiKey = API_KEY) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: ORIGIN } });
const { models } = client();
// The SDK takes a name with a slash for a whole resource name, unless it begins like one.
const NAMES = MODELS.map((model) => `models/${model}`);
const TELLING = "models/gemini/gemini-2.5-flash";
const WEATHER = { name: "weather", description: "The weather", parametersJsonSchema: PLACE };

test("a whole answer has text and usage", async () => {
  for (const model of NAMES) {
    const contents = say("google [[thoughts=7]] [[cached=2]] [[tokens=9]]");
    const answer = await models.generateContent({ model, contents });
    assert.equal(words(answer.text), 9);
    assert.equal(answer.candidates[0].finishReason, "STOP");
    assert.equal(answer.usageMetadata.candidatesTokenCount, 9);
    assert.equal(answer.usageMetadata.thoughtsTokenCount, 7);
    assert.equal(answer.usageMetadata.cachedContentTokenCount, 2);
  }
});

test("a stream brings its text in pieces and its usage at the end", async () => {
  for (const model of NAMES) {
    const chunks = await collect(
      await models.generateContentStream({ model, contents: say("google stream [[events=5]]") }),
    );
    assert.equal(chunks.filter((chunk) => chunk.text).length, 5);
    assert.equal(chunks.at(-1).usageMetadata.candidatesTokenCount, 5);
  }
});

test("a function is called and its result answered, also in a stream", async () => {
  const config = { tools: [{ functionDeclarations: [WEATHER] }] };
  for (const model of NAMES) {
    for (const stream of [false, true]) {
      const contents = [{ role: "user", parts: [{ text: say(`google weather ${stream} [[tool=weather]]`) }] }];
      const request = { model, contents, config };
      const answers = stream
        ? await collect(await models.generateContentStream(request))
        : [await models.generateContent(request)];
      const parts = answers.flatMap((answer) => answer.candidates?.[0]?.content?.parts ?? []);
      const calls = parts.filter((part) => part.functionCall);
      assert.equal(calls.length, 1);
      const { name, id, args } = calls[0].functionCall;
      assert.equal(name, "weather");
      assert.ok(args.input);
      const functionResponse = { name, id, response: { result: "rain" } };
      contents.push({ role: "model", parts: calls }, { role: "user", parts: [{ functionResponse }] });
      assert.ok((await models.generateContent(request)).text);
    }
  }
});

test("structured output is parsed", async () => {
  const { additionalProperties, ...plain } = CITY;
  for (const model of NAMES) {
    for (const schema of [{ responseSchema: plain }, { responseJsonSchema: CITY }]) {
      const config = { responseMimeType: "application/json", ...schema };
      const contents = say(`google structured ${Object.keys(schema)} [[json=city]]`);
      const answer = await models.generateContent({ model, contents, config });
      assert.ok(JSON.parse(answer.text).city);
    }
  }
});

test("texts become vectors", async () => {
  for (const model of VECTORS) {
    const contents = [say("google one"), say("google two")];
    const config = { outputDimensionality: 4 };
    const answer = await models.embedContent({ model: `models/${model}`, contents, config });
    assert.deepEqual(answer.embeddings.map((vector) => vector.values.length), [4, 4]);
  }
});

test("tokens are counted", async () => {
  for (const model of NAMES) {
    assert.equal((await models.countTokens({ model, contents: "x".repeat(40) })).totalTokens, 10);
  }
});

test("models are listed and found", async () => {
  const names = (await collect(await models.list())).map((model) => model.name);
  assert.ok(names.includes("models/gemini-2.5-flash"));
  assert.equal((await models.get({ model: "default" })).name, "models/default");
});

test("each mistake is told as the provider tells it", async () => {
  const generate = (key, model, text) =>
    refused(client(key).models.generateContent({ model, contents: say(text) }));
  const nobody = await generate("fp_nobody", "default", "x");
  assert.ok(nobody instanceof ApiError);
  assert.equal(nobody.status, 400);
  assert.equal((await generate(API_KEY, "nope", "x")).status, 404);
  assert.equal((await generate(API_KEY, "models/mock/unpriced", "x")).status, 400);
  for (const model of NAMES) {
    const limited = await generate(API_KEY, model, "google [[status=429]]");
    assert.equal(limited.status, 429);
    assert.equal(JSON.parse(limited.message).error.status, "RESOURCE_EXHAUSTED");
    assert.ok((await generate(API_KEY, model, "google [[status=500]]")).status >= 500);
  }
});

test("a stream that breaks off raises", async () => {
  const contents = say("google broken [[events=9]] [[cut=5]]");
  const stream = await models.generateContentStream({ model: TELLING, contents });
  await refused(collect(stream));
});
