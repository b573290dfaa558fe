//! Any bytes as a file of the journal: reading ends, never panics, and what is read is written again as the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    metering::journal::fuzzing::read(bytes);
});
