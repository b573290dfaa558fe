//! The binary flowpilot, and the path of an AI request.
fn main() {}
