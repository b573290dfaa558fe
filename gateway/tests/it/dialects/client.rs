//! Clients of every dialect: how each asks, and what it understands of an answer.

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{Answer, Stack, Tenant, Tokens, ask};

/// A client of one dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Openai,
    /// OpenAI's newer form.
    Responses,
    Anthropic,
    Gemini,
    /// Gemini's streams without `alt=sse`.
    GeminiArray,
}

use Client::{Anthropic, Gemini, GeminiArray, Openai, Responses};

pub(crate) const CLIENTS: [Client; 5] = [Openai, Responses, Anthropic, Gemini, GeminiArray];

/// What a client understood of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Understood {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<(String, String, Value)>,
    pub(crate) finish: String,
    pub(crate) tokens: Tokens,
}

impl Client {
    pub(crate) fn path(self, model: &str, streamed: bool) -> String {
        match (self, streamed) {
            (Openai, _) => "/v1/chat/completions".to_owned(),
            (Responses, _) => "/v1/responses".to_owned(),
            (Anthropic, _) => "/v1/messages".to_owned(),
            (Gemini | GeminiArray, false) => format!("/v1beta/models/{model}:generateContent"),
            (Gemini, true) => format!("/v1/models/{model}:streamGenerateContent?alt=sse"),
            (GeminiArray, true) => format!("/v1beta/models/{model}:streamGenerateContent"),
        }
    }

    pub(crate) fn body(self, model: &str, text: &str, streamed: bool) -> Value {
        match self {
            Openai => {
                let mut body = ask(model, text);
                if streamed {
                    body["stream"] = true.into();
                    body["stream_options"] = json!({ "include_usage": true });
                }
                body
            }
            Responses => {
                json!({ "model": model, "input": [{ "role": "user", "content": text }], "stream": streamed })
            }
            Anthropic => json!({ "model": model, "max_tokens": 4096, "stream": streamed,
                "messages": [{ "role": "user", "content": text }] }),
            Gemini | GeminiArray => {
                json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] })
            }
        }
    }

    /// The same body with a tool that may be called.
    pub(crate) fn with_tool(self, mut body: Value) -> Value {
        let schema = json!({ "type": "object", "properties": { "input": { "type": "string" } } });
        body["tools"] = match self {
            Openai => {
                json!([{ "type": "function", "function": { "name": "weather", "parameters": schema } }])
            }
            Responses => json!([{ "type": "function", "name": "weather", "parameters": schema }]),
            Anthropic => json!([{ "name": "weather", "input_schema": schema }]),
            Gemini | GeminiArray => {
                json!([{ "functionDeclarations": [{ "name": "weather", "parametersJsonSchema": schema }] }])
            }
        };
        body
    }

    /// The same body with the call that was made, and its result.
    pub(crate) fn with_result(self, mut body: Value, answer: &Understood) -> Value {
        let (id, name, arguments) = &answer.calls[0];
        let turns = match self {
            Openai => vec![
                json!({ "role": "assistant", "content": null, "tool_calls": [
                    { "id": id, "type": "function", "function": { "name": name, "arguments": arguments.to_string() } }] }),
                json!({ "role": "tool", "tool_call_id": id, "content": "rain" }),
            ],
            Responses => vec![
                json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments.to_string() }),
                json!({ "type": "function_call_output", "call_id": id, "output": "rain" }),
            ],
            Anthropic => vec![
                json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": name, "input": arguments }] }),
                json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "rain" }] }),
            ],
            Gemini | GeminiArray => vec![
                json!({ "role": "model", "parts": [{ "functionCall": { "name": name, "args": arguments } }] }),
                json!({ "role": "user", "parts": [{ "functionResponse": { "name": name, "response": { "result": "rain" } } }] }),
            ],
        };
        let list = match self {
            Gemini | GeminiArray => "contents",
            Responses => "input",
            Openai | Anthropic => "messages",
        };
        body[list].as_array_mut().unwrap().extend(turns);
        body
    }

    pub(crate) async fn send(self, stack: &Stack, key: &str, path: &str, body: &Value) -> Answer {
        let client = stack.gateway.client();
        let (header, other) = match self {
            Openai | Responses => ("authorization", format!("Bearer {key}")),
            Anthropic => ("x-api-key", key.to_owned()),
            Gemini | GeminiArray => ("x-goog-api-key", key.to_owned()),
        };
        let mut request = client
            .request(Method::POST, path, None)
            .header(header, other);
        if self == Anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let body = Full::new(Bytes::from(body.to_string()));
        client.exchange(request.body(body).unwrap()).await
    }

    pub(crate) async fn ask(
        self,
        stack: &Stack,
        tenant: &Tenant,
        (model, streamed): (&str, bool),
        body: &Value,
    ) -> Understood {
        let path = self.path(model, streamed);
        let answer = self.send(stack, &tenant.key, &path, body).await.expect(200);
        if streamed {
            self.read_stream(&answer)
        } else {
            self.read(&answer.json())
        }
    }

    pub(crate) fn read(self, answer: &Value) -> Understood {
        let mut understood = Understood::default();
        match self {
            Openai => {
                let choice = &answer["choices"][0];
                understood.text = text(&choice["message"]["content"]);
                understood.calls = list(&choice["message"]["tool_calls"], |call| {
                    let arguments =
                        serde_json::from_str(&text(&call["function"]["arguments"])).unwrap();
                    (
                        text(&call["id"]),
                        text(&call["function"]["name"]),
                        arguments,
                    )
                });
                understood.finish = text(&choice["finish_reason"]);
                understood.tokens = openai_tokens(&answer["usage"]);
            }
            Responses => {
                assert_eq!(answer["object"], "response");
                for item in answer["output"].as_array().unwrap() {
                    understood.take_item(item);
                }
                understood.finish = text(&answer["status"]);
                understood.tokens = responses_tokens(&answer["usage"]);
            }
            Anthropic => {
                for block in answer["content"].as_array().unwrap() {
                    understood.take_block(block);
                }
                understood.finish = text(&answer["stop_reason"]);
                understood.tokens = anthropic_tokens(&answer["usage"]);
            }
            Gemini | GeminiArray => understood.take_response(answer),
        }
        understood
    }

    fn read_stream(self, answer: &Answer) -> Understood {
        let body = std::str::from_utf8(&answer.body).unwrap();
        let mut understood = Understood::default();
        match self {
            Openai => {
                let events = openai_events(body);
                let (usage, chunks) = events.split_last().unwrap();
                for chunk in chunks {
                    understood.take_chunk(chunk);
                }
                understood.tokens = openai_tokens(&usage["usage"]);
            }
            Responses => {
                let events = anthropic_events(body);
                let said: String = events
                    .iter()
                    .filter(|event| event["type"] == "response.output_text.delta")
                    .map(|event| text(&event["delta"]))
                    .collect();
                let last = events.last().unwrap();
                assert_eq!(last["type"], "response.completed");
                understood = self.read(&last["response"]);
                assert_eq!(understood.text, said);
            }
            Anthropic => {
                for event in anthropic_events(body) {
                    understood.take_event(&event);
                }
                for (_, _, arguments) in &mut understood.calls {
                    *arguments = serde_json::from_str(&text(arguments)).unwrap();
                }
            }
            Gemini => {
                for event in body
                    .split_terminator("\n\n")
                    .flat_map(|event| event.split_terminator("\r\n\r\n"))
                {
                    let data = event.strip_prefix("data: ").unwrap();
                    understood.take_response(&serde_json::from_str(data).unwrap());
                }
            }
            GeminiArray => {
                let responses: Vec<Value> = serde_json::from_str(body).unwrap();
                for response in &responses {
                    understood.take_response(response);
                }
            }
        }
        if self == Openai {
            for (_, _, arguments) in &mut understood.calls {
                *arguments = serde_json::from_str(&text(arguments)).unwrap();
            }
        }
        understood
    }
}

impl Understood {
    fn take_chunk(&mut self, chunk: &Value) {
        let choice = &chunk["choices"][0];
        self.text.push_str(&text(&choice["delta"]["content"]));
        for call in choice["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if self.calls.len() == at {
                let name = text(&call["function"]["name"]);
                self.calls.push((text(&call["id"]), name, "".into()));
            }
            append(&mut self.calls[at].2, &text(&call["function"]["arguments"]));
        }
        self.finish.push_str(&text(&choice["finish_reason"]));
    }

    fn take_block(&mut self, block: &Value) {
        match block["type"].as_str().unwrap() {
            "text" => self.text.push_str(&text(&block["text"])),
            "thinking" => self.reasoning.push_str(&text(&block["thinking"])),
            "tool_use" => self.calls.push((
                text(&block["id"]),
                text(&block["name"]),
                block["input"].clone(),
            )),
            other => panic!("{other}"),
        }
    }

    fn take_item(&mut self, item: &Value) {
        match item["type"].as_str().unwrap() {
            "message" => self.text.push_str(&text(&item["content"][0]["text"])),
            "function_call" => self.calls.push((
                text(&item["call_id"]),
                text(&item["name"]),
                serde_json::from_str(&text(&item["arguments"])).unwrap(),
            )),
            other => panic!("{other}"),
        }
    }

    fn take_event(&mut self, event: &Value) {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                let mut block = event["content_block"].clone();
                if block["type"] == "tool_use" {
                    block["input"] = "".into();
                }
                self.take_block(&block);
            }
            "content_block_delta" => {
                self.text.push_str(&text(&event["delta"]["text"]));
                self.reasoning.push_str(&text(&event["delta"]["thinking"]));
                if let Some((_, _, arguments)) = self.calls.last_mut() {
                    append(arguments, &text(&event["delta"]["partial_json"]));
                }
            }
            "message_delta" => {
                self.finish = text(&event["delta"]["stop_reason"]);
                self.tokens = anthropic_tokens(&event["usage"]);
            }
            _ => {}
        }
    }

    fn take_response(&mut self, response: &Value) {
        let candidate = &response["candidates"][0];
        for part in candidate["content"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let call = &part["functionCall"];
            if call.is_object() {
                self.calls
                    .push((text(&call["id"]), text(&call["name"]), call["args"].clone()));
            } else if part["thought"] == true {
                self.reasoning.push_str(&text(&part["text"]));
            } else {
                self.text.push_str(&text(&part["text"]));
            }
        }
        self.finish.push_str(&text(&candidate["finishReason"]));
        let count = |name: &str| response["usageMetadata"][name].as_i64().unwrap_or(0);
        if response["usageMetadata"].is_object() {
            self.tokens = Tokens {
                input: count("promptTokenCount"),
                cache_read: count("cachedContentTokenCount"),
                output: count("candidatesTokenCount") + count("thoughtsTokenCount"),
                reasoning: count("thoughtsTokenCount"),
            };
            assert_eq!(count("totalTokenCount"), self.tokens.total());
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn append(value: &mut Value, more: &str) {
    *value = format!("{}{more}", text(value)).into();
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().into_iter().flatten().map(read).collect()
}

fn openai_tokens(usage: &Value) -> Tokens {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    Tokens {
        input: count("/prompt_tokens"),
        cache_read: count("/prompt_tokens_details/cached_tokens"),
        output: count("/completion_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
    }
}

fn responses_tokens(usage: &Value) -> Tokens {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    Tokens {
        input: count("/input_tokens"),
        cache_read: count("/input_tokens_details/cached_tokens"),
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/reasoning_tokens"),
    }
}

fn anthropic_tokens(usage: &Value) -> Tokens {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let cached = count("/cache_read_input_tokens") + count("/cache_creation_input_tokens");
    Tokens {
        input: count("/input_tokens") + cached,
        cache_read: count("/cache_read_input_tokens"),
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/thinking_tokens"),
    }
}

fn openai_events(body: &str) -> Vec<Value> {
    let mut events: Vec<&str> = body.split_terminator("\n\n").collect();
    assert_eq!(events.pop(), Some("data: [DONE]"));
    let events = events
        .into_iter()
        .map(|event| event.strip_prefix("data: ").unwrap());
    events
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

pub(crate) fn anthropic_events(body: &str) -> Vec<Value> {
    let events = body.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    events.collect()
}
