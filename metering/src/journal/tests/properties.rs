//! Whatever is done to a journal's bytes: what is whole is read, and nothing else is.

use proptest::prelude::*;

use super::*;
use crate::journal::fuzzing;

fn record(number: usize, text: &str) -> Record {
    let mut one = intent(number as u128);
    one.prompt_text = text.to_owned();
    Record::from(Intent::new(one, &form::Held::default(), Usd::ZERO))
}

/// Records one after the other, and where each ends.
fn frames(texts: &[String]) -> (Vec<u8>, Vec<usize>) {
    let (mut frames, mut ends) = (Vec::new(), Vec::new());
    for (number, text) in texts.iter().enumerate() {
        encode(&record(number, text), &mut frames).unwrap();
        ends.push(frames.len());
    }
    (frames, ends)
}

/// What a start finds in a single file of these bytes.
fn opened(bytes: &[u8]) -> Vec<Record> {
    let folder = tempfile::tempdir().unwrap();
    let segment = folder.path().join(format!("{:020}.journal", 0));
    fs_err::write(segment, bytes).unwrap();
    read_all(&open(&options(folder.path())))
}

fn prompts(records: &[Record]) -> Vec<String> {
    let prompts = records.iter().filter_map(|record| match record {
        Record::Intent(intent) => Some(intent.subject.prompt_text.clone()),
        _ => None,
    });
    prompts.collect()
}

fn cleaned(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.replace('\0', "")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever byte the power fails at: every record whole before it is read, nothing else is, and the journal opens.
    #[test]
    fn a_file_cut_anywhere_yields_the_whole_records_before_the_cut(
        texts in prop::collection::vec(".{0,40}", 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (frames, ends) = frames(&texts);
        let cut = cut.index(frames.len() + 1);
        let records = opened(&frames[..cut]);

        let whole = ends.iter().filter(|end| **end <= cut).count();
        // Each whole intent, and the settlement that recovery appended for it.
        prop_assert_eq!(records.len(), 2 * whole);
        prop_assert_eq!(prompts(&records), cleaned(&texts[..whole]));
    }

    #[test]
    fn a_flipped_bit_loses_the_record_that_has_it_and_no_other(
        texts in prop::collection::vec(".{0,40}", 1..6),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let (mut frames, ends) = frames(&texts);
        let at = at.index(frames.len());
        frames[at] ^= 1_u8 << bit;
        let records = opened(&frames);

        let hit = ends.iter().filter(|end| **end <= at).count();
        let mut others = cleaned(&texts);
        others.remove(hit);
        prop_assert_eq!(prompts(&records), others);
    }
}

proptest! {
    /// What the fuzzer does at length, for a moment: bytes of any kind, and bytes that were a journal once.
    #[test]
    fn any_bytes_are_read_to_their_end(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        texts in prop::collection::vec(".{0,20}", 0..4),
        overwritten in any::<prop::sample::Index>(),
    ) {
        fuzzing::read(&noise);
        let (mut frames, _) = frames(&texts);
        let whole = fuzzing::read(&frames);
        prop_assert_eq!((whole.records, whole.lost_bytes), (texts.len(), 0));
        let from = overwritten.index(frames.len() + 1);
        let until = frames.len().min(from + noise.len());
        frames[from..until].copy_from_slice(&noise[..until - from]);
        fuzzing::read(&frames);
    }
}
