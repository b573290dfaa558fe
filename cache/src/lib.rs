//! Answers again what was answered before.
