//! The mock provider, held against what the real APIs say on the wire, and the load generator, held against the mock.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod books;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod openai;
