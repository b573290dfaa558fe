//! Any bytes as the source of a prompt template: read, inspected and rendered, within every limit and without a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway::fuzzing::template(data));
