//! What can be said about two texts by reading them: politeness, spelling, and what makes them different questions.
//!
//! [`normal`] takes away what changes no answer. [`Sketch`] is what is kept of a question for the [`guard`], which
//! says what speaks against giving one question's answer to another one, and whether one is merely the other in
//! other words. All of it is English; in another language it says less and forbids nothing that is right.

pub(crate) mod guard;
mod lists;
pub(crate) mod normal;
mod numbers;
mod sketch;
mod spelling;
mod words;

pub(crate) use sketch::Sketch;
pub(crate) use spelling::Lexicon;
