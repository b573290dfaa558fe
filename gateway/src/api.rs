//! The endpoints of what the gateway itself keeps: one file each.

pub(crate) mod prompt_templates;
pub(crate) mod routes;

use std::sync::Arc;

use ::api::Operations;
use database::Database;
use types::{Clock, Permission};
use utoipa_axum::routes;

use crate::template::Templates;

/// What the endpoints of prompt templates work with; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Prompting {
    /// The database.
    pub(crate) database: Database,
    /// Tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Reads and renders sources.
    pub(crate) templates: Arc<Templates>,
}

/// Every operation with its permission.
pub(crate) fn operations(prompting: Prompting) -> Operations<Prompting> {
    use prompt_templates as templates;
    let (read, write) = (
        Permission::PromptTemplatesRead,
        Permission::PromptTemplatesWrite,
    );
    Operations::new(prompting)
        .add(write, routes!(templates::create::create_prompt_template))
        .add(read, routes!(templates::list::list_prompt_templates))
        .add(read, routes!(templates::find::find_prompt_template))
        .add(write, routes!(templates::update::update_prompt_template))
        .add(write, routes!(templates::delete::delete_prompt_template))
        .add(
            read,
            routes!(templates::versions::list_prompt_template_versions),
        )
        .add(
            read,
            routes!(templates::version::find_prompt_template_version),
        )
        .add(
            write,
            routes!(templates::activate::activate_prompt_template_version),
        )
        .add(read, routes!(templates::render::render_prompt_template))
}
