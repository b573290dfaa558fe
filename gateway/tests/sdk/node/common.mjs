// What the suites of all Node SDKs share: where the gateway is, what is asked of it, and how answers are told apart.
//
// Run by `cargo xtask sdk`, which sets FLOWPILOT_BASE_URL, FLOWPILOT_API_KEY and FLOWPILOT_SUITE, and compares the
// books afterwards. Each test asks a model of every provider; the mock behind the gateway does what `[[…]]` says.

export const BASE_URL = process.env.FLOWPILOT_BASE_URL;
export const ORIGIN = BASE_URL.replace(/\/v1$/, "");
export const API_KEY = process.env.FLOWPILOT_API_KEY;

export const MODELS = ["mock/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"];
// A provider that tells its usage with every event: the books agree even when its stream breaks off.
export const TELLING = "gemini/gemini-2.5-flash";
export const VECTORS = ["mock/text-embedding-3-small", "gemini/gemini-embedding-001"];

export const PLACE = {
  type: "object",
  properties: { input: { type: "string" } },
  required: ["input"],
  additionalProperties: false,
};
export const CITY = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

// A text that no other suite asks, so that the cache does not answer it.
export const say = (text) => `${process.env.FLOWPILOT_SUITE} ${text}`;
export const ask = (text) => [{ role: "user", content: say(text) }];
export const words = (text) => text.split(" ").length;

export async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

// The error that a promise is refused with.
export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}
