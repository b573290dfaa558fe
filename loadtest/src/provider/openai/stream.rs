//! OpenAI's chat completions, streamed.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, SYSTEM_FINGERPRINT, finish_reason, usage};
use crate::provider::body::Written;

impl Answer {
    /// The answer as events.
    pub fn events(self, include_usage: bool) -> Box<dyn ExactSizeIterator<Item = Written> + Send> {
        let told = include_usage && !self.usage_hidden;
        let steps = self.steps(told);
        let content = steps.iter().filter(|step| step.is_content()).count() as u64;
        let mut out = 0;
        Box::new(steps.into_iter().map(move |step| {
            out += u64::from(step.is_content());
            Written {
                bytes: self.render(&step, told),
                generated: self.plan.generated(out, content),
            }
        }))
    }

    fn steps(&self, usage_told: bool) -> Vec<Step> {
        let choices = 0..self.plan.choices;
        let roles = choices.clone().filter(|_| !self.is_text());
        let mut steps: Vec<Step> = roles.map(Step::Role).collect();
        if self.plan.tools.is_empty() {
            for event in 0..self.plan.events {
                steps.extend(choices.clone().map(|choice| Step::Text { choice, event }));
            }
        }
        for tool in 0..self.plan.tools.len() {
            for choice in choices.clone() {
                steps.push(Step::Tool { choice, tool });
                let halves = [false, true];
                steps.extend(halves.map(|second| Step::Arguments {
                    choice,
                    tool,
                    second,
                }));
            }
        }
        steps.extend(choices.map(Step::Finish));
        steps.extend(usage_told.then_some(Step::Usage));
        steps.push(Step::Done);
        steps
    }

    fn render(&self, step: &Step, usage_told: bool) -> Bytes {
        let choices = match step {
            Step::Done => return Bytes::from_static(b"data: [DONE]\n\n"),
            Step::Usage => Vec::new(),
            step => vec![self.chunk_choice(step)],
        };
        let chunk = Chunk {
            id: &self.id,
            object: if self.is_text() {
                "text_completion"
            } else {
                "chat.completion.chunk"
            },
            created: self.created,
            model: &self.model,
            system_fingerprint: SYSTEM_FINGERPRINT,
            choices,
            usage: match step {
                Step::Usage => Some(usage(&self.plan.tokens)),
                _ => usage_told.then_some(Value::Null),
            },
        };
        event(&chunk)
    }

    fn chunk_choice(&self, step: &Step) -> ChunkChoice {
        let mut finish = None;
        let (index, mut delta) = match *step {
            Step::Role(choice) => (choice, Delta::role()),
            Step::Text { choice, event } => (choice, Delta::text(self.plan.piece(choice, event))),
            Step::Tool { choice, tool } => (choice, Delta::tool(self.tool_head(choice, tool))),
            Step::Arguments {
                choice,
                tool,
                second,
            } => (choice, Delta::tool(self.tool_arguments(tool, second))),
            Step::Finish(choice) => {
                finish = Some(finish_reason(self.plan.finish));
                (choice, Delta::default())
            }
            Step::Usage | Step::Done => (0, Delta::default()),
        };
        let text = self
            .is_text()
            .then(|| delta.content.take().unwrap_or_default());
        ChunkChoice {
            index,
            text,
            delta: (!self.is_text()).then_some(delta),
            logprobs: (),
            finish_reason: finish,
        }
    }

    fn tool_head(&self, choice: u64, tool: usize) -> Value {
        let name = self.plan.tools.get(tool);
        let function = json!({ "name": name, "arguments": "" });
        let id = self.tool_id(choice, tool);
        json!({ "index": tool, "id": id, "type": "function", "function": function })
    }

    fn tool_arguments(&self, tool: usize, second: bool) -> Value {
        let arguments = self.plan.arguments();
        let (first_half, second_half) = arguments.split_at(arguments.len() / 2);
        let half = if second { second_half } else { first_half };
        json!({ "index": tool, "function": { "arguments": half } })
    }
}

/// One event of a streamed answer.
#[derive(Debug, Clone, Copy)]
enum Step {
    Role(u64),
    Text {
        choice: u64,
        event: u64,
    },
    Tool {
        choice: u64,
        tool: usize,
    },
    Arguments {
        choice: u64,
        tool: usize,
        second: bool,
    },
    Finish(u64),
    Usage,
    Done,
}

impl Step {
    const fn is_content(self) -> bool {
        matches!(self, Self::Text { .. } | Self::Arguments { .. })
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: Vec<ChunkChoice>,
    /// Absent unless usage was asked for; then null but in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct ChunkChoice {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Delta>,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Value; 1]>,
}

impl Delta {
    fn role() -> Self {
        Self {
            role: Some("assistant"),
            content: Some(String::new()),
            tool_calls: None,
        }
    }

    fn text(content: String) -> Self {
        Self {
            content: Some(content),
            ..Self::default()
        }
    }

    fn tool(call: Value) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}

/// One server-sent event of this JSON.
pub fn event(value: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"data: ");
    // Writing to memory fails for types only that are not JSON, and ours are.
    let _ = serde_json::to_writer(&mut bytes, value);
    bytes.extend_from_slice(b"\n\n");
    Bytes::from(bytes)
}
