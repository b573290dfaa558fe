//! The configuration as an operator meets it: files, environment, messages.

#[cfg(test)]
mod layering;
