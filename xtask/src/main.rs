//! The repository's own tasks: check, prepare, openapi, test-external.
fn main() {}
