//! For tests of every crate: what the OpenAPI document says there is, so that no operation is
//! left out of a test.

use utoipa::openapi::path::{Operation as Documented, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use crate::operations::PERMISSION_EXTENSION;

/// One documented operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path with its parameters in braces.
    pub path: String,
    /// The operation id, `<verb>_<resource>`.
    pub id: String,
    /// One line of text.
    pub summary: String,
    /// The permission's word; `None` is a mistake that a test should refuse.
    pub permission: Option<String>,
    /// The names of the parameters in the path.
    pub path_parameters: Vec<String>,
    /// Whether it takes a JSON body.
    pub takes_body: bool,
    /// The documented statuses.
    pub statuses: Vec<String>,
}

impl Operation {
    /// The path with each parameter replaced by a value.
    pub fn path_with(&self, value: impl Fn(&str) -> String) -> String {
        let parameters = self.path_parameters.iter();
        parameters.fold(self.path.clone(), |path, name| {
            path.replace(&format!("{{{name}}}"), &value(name))
        })
    }
}

/// Every operation of a document.
pub fn operations(openapi: &OpenApi) -> Vec<Operation> {
    let paths = openapi.paths.paths.iter();
    paths
        .flat_map(|(path, item)| {
            let operations = methods(item).into_iter();
            operations
                .filter_map(move |(method, documented)| Some(operation(method, path, documented?)))
        })
        .collect()
}

fn methods(item: &PathItem) -> [(&'static str, Option<&Documented>); 5] {
    [
        ("GET", item.get.as_ref()),
        ("PUT", item.put.as_ref()),
        ("POST", item.post.as_ref()),
        ("PATCH", item.patch.as_ref()),
        ("DELETE", item.delete.as_ref()),
    ]
}

fn operation(method: &'static str, path: &str, documented: &Documented) -> Operation {
    let extensions = documented.extensions.as_ref();
    let permission = extensions.and_then(|all| all.get(PERMISSION_EXTENSION)?.as_str());
    let parameters = documented.parameters.iter().flatten();
    let in_path = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path => {
            Some(parameter.name.clone())
        }
        _ => None,
    });
    Operation {
        method,
        path: path.to_owned(),
        id: documented.operation_id.clone().unwrap_or_default(),
        summary: documented.summary.clone().unwrap_or_default(),
        permission: permission.map(str::to_owned),
        path_parameters: in_path.collect(),
        takes_body: documented.request_body.is_some(),
        statuses: documented.responses.responses.keys().cloned().collect(),
    }
}
