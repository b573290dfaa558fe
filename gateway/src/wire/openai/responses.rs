//! Responses: OpenAI's newer form of a conversation, whose questions and answers are lists of items.
//!
//! Every provider is asked for one in its own chat form, and nothing is kept between calls (decision 0049).

pub(crate) mod answer;
mod item;
pub(crate) mod request;
pub(crate) mod stream;
