//! What comes out of the pipeline: a whole answer, or the events it is made of.
//!
//! The two forms say the same: [`Assembly`] folds events into an [`Answer`], and [`Answer::events`] unfolds it,
//! so that a stored answer can be replayed whole or streamed.

use serde::{Deserialize, Serialize};

use crate::call::ToolCall;
use crate::tokens::Usage;

/// A complete answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The model that answered, as the provider names it.
    pub model: String,
    /// One per answer asked for, by index.
    pub choices: Vec<Choice>,
    /// What it used; absent where the provider did not say.
    pub usage: Option<Usage>,
    /// The service the provider says it used, in its own word, which decides the price; absent for the ordinary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Whether the provider said something that this form has no place for, so that it cannot be said again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsaid: bool,
    /// The vectors, by the order of the texts they were made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<Vec<f32>>,
}

/// One of the answers asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The text; absent where only tools are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The model's reasoning, where the provider shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// What makes the reasoning acceptable to its provider when it is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Why the model refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Tools the model wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended; absent where it was broken off.
    pub finish: Option<Finish>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done, or met a stop text.
    Stop,
    /// The token limit was reached.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// The provider's filter stepped in.
    ContentFilter,
    /// Something else went wrong, which the dialects have no word for; such an answer is never given again.
    Other,
}

/// One step of an answer being made.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The provider began to answer with this model.
    Start {
        /// As the provider names it.
        model: String,
    },
    /// More of a choice.
    Delta {
        /// Which choice.
        choice: usize,
        /// What is added.
        delta: Delta,
    },
    /// A choice ended.
    Finish {
        /// Which choice.
        choice: usize,
        /// Why.
        finish: Finish,
    },
    /// The usage so far; a later one replaces an earlier one.
    Usage(Usage),
    /// The service the provider says it uses.
    ServiceTier(String),
    /// Something was said that this form has no place for; a client of the provider's dialect gets it as it is.
    Unsaid,
}

/// What is added to a choice.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Reasoning.
    Reasoning(String),
    /// The signature of the reasoning so far.
    Signature(String),
    /// Refusal.
    Refusal(String),
    /// A tool call, or more arguments of it.
    ToolCall {
        /// Position among the choice's tool calls, stable for the whole stream.
        index: usize,
        /// Identifier, in the first piece only.
        id: Option<String>,
        /// Name, in the first piece only.
        name: Option<String>,
        /// More of the arguments' text.
        arguments: String,
        /// Gemini's thought signature.
        signature: Option<String>,
    },
}

/// Answers asked for at most, and tool calls in one answer at most: a provider's index beyond them is ignored,
/// so that a hostile stream cannot make us allocate. OpenAI allows `n` up to 128.
pub const CHOICES_MAX: usize = 128;

/// Folds events into an answer.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    answer: Answer,
}

impl Assembly {
    /// Takes the next event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Start { model } => self.answer.model.clone_from(model),
            Event::Usage(usage) => self.answer.usage = Some(*usage),
            Event::ServiceTier(tier) => self.answer.service_tier = Some(tier.clone()),
            Event::Unsaid => self.answer.unsaid = true,
            Event::Delta { choice, delta } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.add(delta);
                }
            }
            Event::Finish { choice, finish } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.finish = Some(*finish);
                }
            }
        }
    }

    /// The answer so far.
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The answer, complete or not.
    pub fn into_answer(self) -> Answer {
        self.answer
    }

    fn choice(&mut self, index: usize) -> Option<&mut Choice> {
        grow(&mut self.answer.choices, index)
    }
}

impl From<Answer> for Assembly {
    fn from(answer: Answer) -> Self {
        Self { answer }
    }
}

impl Choice {
    fn add(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) => append(&mut self.text, text),
            Delta::Reasoning(text) => append(&mut self.reasoning, text),
            Delta::Signature(text) => append(&mut self.signature, text),
            Delta::Refusal(text) => append(&mut self.refusal, text),
            Delta::ToolCall {
                index,
                id,
                name,
                arguments,
                signature,
            } => {
                let Some(call) = grow(&mut self.tool_calls, *index) else {
                    return;
                };
                if let Some(id) = id {
                    call.id.clone_from(id);
                }
                if let Some(name) = name {
                    call.name.clone_from(name);
                }
                if signature.is_some() {
                    call.signature.clone_from(signature);
                }
                call.arguments.push_str(arguments);
            }
        }
    }
}

impl Answer {
    /// Whether every choice came to its natural end and is here whole, which is what may be stored and served again.
    pub fn is_complete(&self) -> bool {
        !self.unsaid
            && !self.choices.is_empty()
            && self
                .choices
                .iter()
                .all(|choice| choice.finish == Some(Finish::Stop))
    }

    /// The text of the first choice; what `ai_requests.completion_text` keeps.
    pub fn first_text(&self) -> &str {
        let first = self
            .choices
            .first()
            .and_then(|choice| choice.text.as_deref());
        first.unwrap_or_default()
    }

    /// The events that assemble to this answer.
    pub fn events(&self) -> Vec<Event> {
        let mut events = vec![Event::Start {
            model: self.model.clone(),
        }];
        for (choice, content) in self.choices.iter().enumerate() {
            let deltas = content.deltas();
            events.extend(
                deltas
                    .into_iter()
                    .map(|delta| Event::Delta { choice, delta }),
            );
            if let Some(finish) = content.finish {
                events.push(Event::Finish { choice, finish });
            }
        }
        events.extend(self.unsaid.then_some(Event::Unsaid));
        events.extend(self.service_tier.clone().map(Event::ServiceTier));
        events.extend(self.usage.map(Event::Usage));
        events
    }
}

impl Choice {
    fn deltas(&self) -> Vec<Delta> {
        let reasoning = self.reasoning.clone().map(Delta::Reasoning);
        let signature = self.signature.clone().map(Delta::Signature);
        let text = self.text.clone().map(Delta::Text);
        let refusal = self.refusal.clone().map(Delta::Refusal);
        let tools = self.tool_calls.iter().enumerate();
        let tools = tools.map(|(index, call)| Delta::ToolCall {
            index,
            id: Some(call.id.clone()),
            name: Some(call.name.clone()),
            arguments: call.arguments.clone(),
            signature: call.signature.clone(),
        });
        let thought = reasoning.into_iter().chain(signature);
        thought.chain(text).chain(refusal).chain(tools).collect()
    }
}

fn append(text: &mut Option<String>, more: &str) {
    text.get_or_insert_default().push_str(more);
}

fn grow<T: Default>(list: &mut Vec<T>, index: usize) -> Option<&mut T> {
    if index >= CHOICES_MAX {
        return None;
    }
    if list.len() <= index {
        list.resize_with(index + 1, T::default);
    }
    list.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_unfolds_into_events_that_fold_back_into_it() {
        let answer = Answer {
            model: "m".to_owned(),
            choices: vec![Choice {
                text: Some("hello".to_owned()),
                reasoning: Some("they greet".to_owned()),
                signature: Some("sealed".to_owned()),
                refusal: None,
                tool_calls: vec![ToolCall {
                    id: "call_1".to_owned(),
                    name: "look_up".to_owned(),
                    arguments: "{}".to_owned(),
                    signature: Some("sig".to_owned()),
                }],
                finish: Some(Finish::ToolCalls),
            }],
            usage: Some(Usage {
                input_tokens: 3,
                ..Usage::default()
            }),
            service_tier: Some("flex".to_owned()),
            unsaid: true,
            embeddings: Vec::new(),
        };

        let mut assembly = Assembly::default();
        answer.events().iter().for_each(|event| assembly.add(event));

        assert_eq!(assembly.into_answer(), answer);
    }

    #[test]
    fn an_index_out_of_all_proportion_is_ignored() {
        let mut assembly = Assembly::default();
        assembly.add(&Event::Finish {
            choice: usize::MAX,
            finish: Finish::Stop,
        });
        assert!(assembly.answer().choices.is_empty());
    }
}
