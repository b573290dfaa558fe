//! The committed description of the management API, from the program's own mouth.

use anyhow::Result;

use crate::cargo;
use crate::folder::{self, Files, Mode};

/// The document's name below `docs`.
const DOCUMENT: &str = "openapi.json";

pub(crate) fn run(mode: Mode) -> Result<()> {
    let arguments = [
        "run",
        "--quiet",
        "--locked",
        "--package",
        "gateway",
        "--bin",
        "flowpilot",
        "--",
        "openapi",
    ];
    let mut document = cargo::output_of(cargo::command(&arguments))?;
    if !document.ends_with('\n') {
        document.push('\n');
    }
    let folder = cargo::root().join("docs");
    let generated = Files::from([(DOCUMENT.to_owned(), document)]);
    folder::settle(&folder, &folder::read(&folder, DOCUMENT)?, &generated, mode)
}
