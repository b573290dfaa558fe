//! Server-sent events, read incrementally (WHATWG HTML, section 9.2.6).
//!
//! Chunks may be cut anywhere, in the middle of a character too. Comments and unknown fields are passed over.
//! Lone carriage returns as line ends are not accepted: no provider sends them.

use bytes::{Bytes, BytesMut};

/// The largest event accepted, in bytes: an image in one event stays below it, an endless line does not.
pub(crate) const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    buffer: BytesMut,
    /// How far the buffer has been searched for the end of an event: always the start of a line.
    searched: usize,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event as it came, with its closing blank line.
    pub(crate) raw: Bytes,
    /// The data lines, joined by line feeds.
    pub(crate) data: Bytes,
}

/// An event larger than [`EVENT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {EVENT_BYTES_MAX} bytes")]
pub(crate) struct TooLarge;

impl Parser {
    /// Takes the next chunk of the stream.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), TooLarge> {
        if self.buffer.len() + chunk.len() > EVENT_BYTES_MAX {
            return Err(TooLarge);
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// The next complete event that carries data.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        loop {
            let end = self.find_event_end()?;
            let raw = self.buffer.split_to(end).freeze();
            self.searched = 0;
            if let Some(data) = data_of(&raw) {
                return Some(Event { raw, data });
            }
        }
    }

    /// What is left when the stream ends: a last event without its blank line.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        let raw = self.buffer.split().freeze();
        self.searched = 0;
        data_of(&raw).map(|data| Event { raw, data })
    }

    fn find_event_end(&mut self) -> Option<usize> {
        loop {
            let rest = self.buffer.get(self.searched..)?;
            let length = memchr::memchr(b'\n', rest)? + 1;
            let is_blank = matches!(rest.get(..length)?, b"\n" | b"\r\n");
            self.searched += length;
            if is_blank {
                return Some(self.searched);
            }
        }
    }
}

/// The joined data lines of an event; nothing for comments alone.
fn data_of(raw: &Bytes) -> Option<Bytes> {
    let mut lines = raw.split(|byte| *byte == b'\n').filter_map(data_line);
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(raw.slice_ref(first));
    };
    let mut joined = Vec::from(first);
    for line in std::iter::once(second).chain(lines) {
        joined.push(b'\n');
        joined.extend_from_slice(line);
    }
    Some(joined.into())
}

fn data_line(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let value = line.strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(chunks: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk).unwrap();
            events.extend(std::iter::from_fn(|| parser.next_event()));
        }
        events.extend(parser.finish());
        let texts = events
            .iter()
            .map(|event| String::from_utf8(event.data.to_vec()).unwrap());
        texts.collect()
    }

    #[test]
    fn comments_line_ends_and_several_data_lines_are_understood() {
        let stream = b": keep-alive\r\n\r\ndata: a\r\ndata:b\r\n\r\nevent: x\nid: 1\ndata: c\n\n";
        assert_eq!(parse(&[stream]), ["a\nb", "c"]);
    }

    #[test]
    fn the_last_event_counts_without_its_blank_line() {
        assert_eq!(parse(&[b"data: a\n\ndata: [DONE]"]), ["a", "[DONE]"]);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        parser.push(&vec![b'x'; EVENT_BYTES_MAX]).unwrap();
        assert_eq!(parser.push(b"x"), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(cut in 0_usize..60, second in 0_usize..60) {
            let stream = "data: {\"a\":\"é😀\"}\r\n\r\n: c\n\ndata: x\ndata: y\n\ndata: z".as_bytes();
            let (low, high) = (cut.min(second).min(stream.len()), cut.max(second).min(stream.len()));
            let whole = parse(&[stream]);
            prop_assert_eq!(parse(&[&stream[..low], &stream[low..high], &stream[high..]]), whole);
        }

        #[test]
        fn no_input_makes_it_panic(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8)) {
            let mut parser = Parser::default();
            for chunk in &chunks {
                parser.push(chunk).unwrap();
                while parser.next_event().is_some() {}
            }
            parser.finish();
        }
    }
}
