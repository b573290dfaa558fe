//! The mock provider, held against what the real APIs say on the wire.

#[cfg(test)]
mod books;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod openai;
