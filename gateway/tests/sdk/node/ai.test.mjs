// Vercel's AI SDK with its providers for OpenAI, Anthropic and Gemini, unmodified, against a gateway with a mock
// provider behind it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { API_KEY, BASE_URL, MODELS, ORIGIN, VECTORS, collect, refused, say, words } from "./common.mjs";

function providers(apiKey = API_KEY) {
  const openai = createOpenAI({ baseURL: BASE_URL, apiKey });
  const anthropic = createAnthropic({ baseURL: BASE_URL, apiKey });
  const google = createGoogleGenerativeAI({ baseURL: `${ORIGIN}/v1beta`, apiKey });
  return {
    openai: (model) => openai.chat(model),
    anthropic: (model) => anthropic(model),
    google: (model) => google(`models/${model}`),
    openaiVectors: (model) => openai.textEmbeddingModel(model),
    googleVectors: (model) => google.textEmbeddingModel(`models/${model}`),
  };
}

// It warns of models that it does not know by name.
globalThis.AI_SDK_LOG_WARNINGS = false;

const DIALECTS = ["openai", "anthropic", "google"];
const weather = tool({
  description: "The weather",
  inputSchema: z.object({ input: z.string() }),
  execute: async () => "rain",
});

for (const dialect of DIALECTS) {
  const named = providers()[dialect];

  test(`${dialect}: a whole answer has text and usage`, async () => {
    for (const model of MODELS) {
      const prompt = say(`ai ${dialect} [[thoughts=7]] [[tokens=9]]`);
      const answer = await generateText({ model: named(model), prompt, maxRetries: 0 });
      assert.equal(words(answer.text), 9);
      assert.equal(answer.finishReason, "stop");
      assert.equal(answer.usage.outputTokens, 16);
      assert.ok(answer.usage.inputTokens > 0);
    }
  });

  test(`${dialect}: a stream brings its text in pieces and its usage at the end`, async () => {
    for (const model of MODELS) {
      const answer = streamText({ model: named(model), prompt: say(`ai ${dialect} stream [[events=5]]`) });
      const pieces = (await collect(answer.textStream)).filter(Boolean);
      assert.equal(pieces.length, 5);
      assert.equal((await answer.usage).outputTokens, 5);
      assert.equal(await answer.finishReason, "stop");
    }
  });

  test(`${dialect}: a tool is called and its result answered, also in a stream`, async () => {
    for (const model of MODELS) {
      for (const stream of [false, true]) {
        const prompt = say(`ai ${dialect} weather ${stream} [[tool=weather]]`);
        const request = { model: named(model), prompt, tools: { weather }, stopWhen: stepCountIs(2), maxRetries: 0 };
        const answer = stream ? streamText(request) : await generateText(request);
        const steps = await answer.steps;
        assert.equal(steps.length, 2);
        assert.equal(steps[0].toolCalls[0].toolName, "weather");
        assert.ok(steps[0].toolCalls[0].input.input);
        assert.ok(await answer.text);
      }
    }
  });

  test(`${dialect}: structured output is parsed`, async () => {
    for (const model of MODELS) {
      const prompt = say(`ai ${dialect} structured [[json=city]]`);
      const output = Output.object({ schema: z.object({ city: z.string() }) });
      const answer = await generateText({ model: named(model), prompt, output, maxRetries: 0 });
      assert.ok(answer.output.city);
    }
  });

  test(`${dialect}: each mistake is an error with its status`, async () => {
    const generate = (key, model, text) =>
      refused(generateText({ model: providers(key)[dialect](model), prompt: say(text), maxRetries: 0 }));
    const nobody = await generate("fp_nobody", "default", "x");
    assert.ok(APICallError.isInstance(nobody));
    assert.equal(nobody.statusCode, dialect === "google" ? 400 : 401);
    assert.equal((await generate(API_KEY, "nope", "x")).statusCode, 404);
    for (const model of MODELS) {
      const limited = await generate(API_KEY, model, `ai ${dialect} [[status=429]]`);
      assert.equal(limited.statusCode, 429);
      assert.ok(limited.isRetryable);
    }
  });
}

for (const dialect of ["openai", "google"]) {
  test(`${dialect}: texts become vectors`, async () => {
    for (const name of VECTORS) {
      const model = providers()[`${dialect}Vectors`](name);
      const values = [say(`ai ${dialect} one`), say(`ai ${dialect} two`)];
      const providerOptions = { openai: { dimensions: 4 }, google: { outputDimensionality: 4 } };
      const { embeddings } = await embedMany({ model, values, providerOptions, maxRetries: 0 });
      assert.deepEqual(embeddings.map((vector) => vector.length), [4, 4]);
    }
  });
}
